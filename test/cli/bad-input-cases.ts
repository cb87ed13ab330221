import { join } from 'node:path';
import type { World } from '../support/world.ts';

/** One thing that a user may get wrong on a host where one image is offered. */
export interface Case {
  readonly args: (world: World) => readonly string[];
  readonly status: number;
  /** What is said on standard error, without the program's name. */
  readonly says: (world: World) => readonly string[];
}

const USAGE_HINT = 'hint: see poolkeeper --help';
const SYNC_HINT = 'hint: see poolkeeper sync --help';
const ADDRESS_HINT = 'hint: use https://, http://, file:/// or a path';
export const BASE_HINT =
  'hint: the address must be that of the directory that holds streams/; unsigned sources have --path streams/v1/index.json';
const DURATION_HINT = 'hint: write seconds, or a number with s, m, h, d or w, such as 2h or 1h30m';
const FIXED = 'datatype=image-downloads ftype=disk1.img';

/** A sync from the host's own stream. */
export const sync =
  (...more: readonly string[]): Case['args'] =>
  ({ server, keyring }) => [
    'sync',
    '--source',
    server.url,
    '--keyring',
    keyring,
    '--grace',
    '0',
    '--min-age',
    '0',
    ...more,
  ];

const nothingMatches = (filters: string, hint: string): Case => ({
  args: sync(...filters.split(' ')),
  status: 4,
  says: ({ server }) => [`error: no image of ${server.url} matches ${FIXED} ${filters}`, `hint: ${hint}`],
});

const usage = (args: readonly string[], ...says: readonly string[]): Case => ({
  args: sync(...args),
  status: 2,
  says: () => says,
});

/** The first document of the host's stream. */
export const index = ({ server }: World): string => `${server.url}streams/v1/index.sjson`;

/** By what is wrong; each has to leave every image as it was. */
export const CASES: Readonly<Record<string, Case>> = {
  'no command': { args: () => [], status: 2, says: () => ['error: name a command', USAGE_HINT] },
  'an unknown option': usage(['--frobnicate'], 'error: unknown argument: frobnicate', SYNC_HINT),
  'an unknown option of two words': usage(['--dry-rum'], 'error: unknown arguments: dry-rum', SYNC_HINT),
  'an option without its value': usage(['--pool'], 'error: option pool needs a value', SYNC_HINT),
  'a word that is no filter': usage(
    ['noble'],
    "error: 'noble' is not a filter",
    'hint: write KEY=VALUE, KEY!=VALUE, KEY~REGEX or KEY!~REGEX',
  ),
  'a query with a word that is no filter': {
    args: () => ['query', 'noble'],
    status: 2,
    says: () => ["error: 'noble' is not a filter", 'hint: write KEY=VALUE, KEY!=VALUE, KEY~REGEX or KEY!~REGEX'],
  },
  'a regular expression that is none': usage(
    ['arch~['],
    "error: the regular expression in filter 'arch~[' cannot be used",
    'hint: Python-only syntax beyond (?i), (?s), (?m), (?P<name>…), \\A and \\Z is not supported',
  ),
  'a grace period that is none': usage(
    ['--grace', 'soon'],
    "error: 'soon' is not a duration for --grace",
    DURATION_HINT,
  ),
  'a negative age': usage(['--min-age', '-1'], "error: '-1' is not a duration for --min-age", DURATION_HINT),
  'an endless grace period': usage(
    ['--grace', '999999999999w'],
    "error: '999999999999w' is too long for --grace",
    'hint: at most 36500d',
  ),
  'no jobs': usage(['--jobs', '0'], 'error: --jobs must be a whole number from 1 to 16'),
  'half a job': usage(['--jobs', '1.5'], 'error: --jobs must be a whole number from 1 to 16'),
  'jobs beyond number': usage(['--jobs', '1000000000'], 'error: --jobs must be a whole number from 1 to 16'),
  'versions that are no number': usage(
    ['--keep-versions', 'all'],
    'error: --keep-versions must be a whole number from 1 to 1000',
  ),

  'filters that match nothing': nothingMatches('release=warty arch=amd64', "'release=warty': release is always noble"),
  'two equal signs': nothingMatches('arch==amd64', "'arch==amd64': write arch=amd64 with one '='"),
  'an equal sign before the tilde': nothingMatches(
    'arch=~amd64',
    "'arch=~amd64': write arch~amd64 for a regular expression",
  ),
  'a truth value in lower case': nothingMatches('supported=true', "'supported=true': write supported=True"),

  'an address that is none': usage(
    ['--source', 'http://'],
    'error: the address of the source is not a valid URL',
    ADDRESS_HINT,
  ),
  'an empty address': usage(['--source', ''], 'error: the address of the source is empty', ADDRESS_HINT),
  'an address of a kind that cannot be read': usage(
    ['--source', 'ftp://images.test/'],
    "error: the source 'ftp://images.test/' is of a kind that cannot be read",
    ADDRESS_HINT,
  ),
  'the wrong directory of a server, with a password': {
    args: (world) => sync('--source', world.server.url.replace('//', '//me:secret@') + 'nowhere')(world),
    status: 11,
    says: ({ server }) => [
      `error: cannot read ${server.url}nowhere/streams/v1/index.sjson: the server answered 404`,
      BASE_HINT,
    ],
  },
  'a directory that is not there': {
    args: sync('--source', '/nowhere'),
    status: 11,
    says: () => [`error: cannot read file:///nowhere/streams/v1/index.sjson: the server answered 404`, BASE_HINT],
  },

  'a keyring that is not there': {
    args: sync('--keyring', '/nowhere.gpg'),
    status: 12,
    says: () => [
      "error: keyring '/nowhere.gpg' does not exist",
      "hint: give an existing file, or add keys with 'poolkeeper keyring add'",
    ],
  },
  'a keyring without a key': {
    args: sync('--keyring', '/etc/hostname'),
    status: 12,
    says: () => [
      "error: cannot use '/etc/hostname': the keyring holds no key",
      'hint: write it with gpg --export FINGERPRINT',
    ],
  },

  'a pool that does not exist': {
    args: sync('--pool', 'nope'),
    status: 10,
    says: ({ libvirtd }) => [
      `error: storage pool 'nope' does not exist on ${libvirtd.uri}`,
      "hint: 'poolkeeper sync --create-pool' creates it; 'virsh pool-list --all' shows those that exist",
    ],
  },
  'a pool that is not active': {
    args: sync('--pool', 'idle'),
    status: 10,
    says: () => ["error: storage pool 'idle' is not active", "hint: start it with 'virsh pool-start idle'"],
  },
  'a pool that holds no image files': {
    args: (world) => sync('--pool', 'vg0', '--connect', `test://${world.root}/node.xml`)(world),
    status: 10,
    says: () => [
      "error: storage pool 'vg0' is of type 'logical', which cannot hold image files",
      'hint: use a pool of type dir, fs, netfs',
    ],
  },
  'a pool to create nowhere': {
    args: sync('--pool', 'new', '--create-pool'),
    status: 2,
    says: () => [
      "error: cannot create storage pool 'new': it is not said where",
      'hint: give an absolute directory: --create-pool=/srv/images',
    ],
  },
  'a libvirt that does not answer': {
    args: sync('--connect', 'qemu+unix:///session?socket=/nowhere'),
    status: 10,
    says: () => [
      "error: cannot connect to qemu+unix:///session?socket=/nowhere: Failed to connect socket to '/nowhere': No such file or directory",
      "hint: check that libvirtd runs ('systemctl status libvirtd'), and add the user to group libvirt or run as root",
    ],
  },

  'a file in place of the state directory': {
    args: (world) => sync('--state-dir', join(world.root, 'file'))(world),
    status: 15,
    says: ({ root }) => [
      `error: cannot use '${root}/file': it is not a directory`,
      'hint: poolkeeper follows no symbolic link there: move it away or configure another directory',
    ],
  },
  'a state directory below a file': {
    args: (world) => sync('--state-dir', join(world.root, 'file/state'))(world),
    status: 1,
    says: ({ root }) => [
      `error: cannot create directory '${root}/file/state': a part of it is not a directory`,
      'hint: move that file away or name another path',
    ],
  },
  'a file in place of the metadata directory': {
    args: (world) => sync('--metadata-dir', join(world.root, 'file'))(world),
    status: 1,
    says: ({ root }) => [
      `error: cannot read directory '${root}/file': a part of it is not a directory`,
      'hint: move that file away or name another path',
    ],
  },
};
