import { expect } from 'chai';
import { checksFor } from '../../../src/commands/configuration-checks.ts';
import { readConfiguration } from '../../../src/config/configuration.ts';
import { parseTree } from '../../../src/config/yaml-tree.ts';

const SEE_EXAMPLE = 'see poolkeeper.yaml(5) for an example';
const USE_DEFAULT = 'leave the line out to use the default';
const DURATION = 'write seconds, or a number with s, m, h, d or w, such as 2h or 1h30m';
const TOP =
  'known here: retention, permissions, connect, pool, state-dir, cache-dir, metadata-dir, jobs, reserve, retries, stall-timeout, sources, storage, peers';
const ADDRESS = 'url: https://images.test/';

function read(text: string): ReturnType<typeof readConfiguration> {
  const { tree, mistakes } = parseTree(text);
  const result = readConfiguration(tree, '/etc/c.yaml', checksFor('/etc/c.yaml'));
  return { ...result, mistakes: [...mistakes, ...result.mistakes] };
}

/** `LINE:COLUMN message; hint` of every mistake. */
function mistakesIn(text: string): readonly string[] {
  return read(text).mistakes.map(
    ({ line, column, message, hint }) => `${line}:${column} ${message}${hint === undefined ? '' : `; ${hint}`}`,
  );
}

/** What is wrong in a file, by what it is. */
const MISTAKES: readonly (readonly [what: string, text: string, ...mistakes: string[]])[] = [
  ['a tab', 'retention:\n\tgrace: 1h\n', '2:1 a tab cannot indent a line; use spaces'],
  [
    'a key that stands twice',
    'pool: a\njobs: 1\npool: b\n',
    '3:1 a key stands here for a second time; remove one of the two',
  ],
  [
    'two keys in one line',
    'pool: connect: a\n',
    `1:7 there is a second colon in this line; put a value that holds ': ' in quotes, and every key on a line of its own`,
  ],
  ['a value with a special sign', 'pool: @a\n', '1:7 a value cannot begin with @; put it in quotes'],
  ['a second document', 'pool: a\n---\npool: b\n', "2:1 a second document begins here; remove the line '---'"],
  ['a tag', 'pool: !a b\n', "1:7 tags have no meaning here; put a value that begins with '!' in quotes"],
  ['a quote without end', 'pool: "a\n', `2:1 this is not YAML: missing closing "quote; ${SEE_EXAMPLE}`],
  ['an anchor that is not there', 'pool: *a\n', `1:7 no anchor 'a' stands before this; ${SEE_EXAMPLE}`],
  ['a key that is no word', '? [a]\n: b\n', `1:3 a key must be a word; ${SEE_EXAMPLE}`],
  [
    'a colon without space',
    'pool:uvtool\n',
    `1:1 the file must be a map of keys; write 'KEY: VALUE', with a space behind the colon`,
  ],
  ['a mistyped key', 'poool: a\n', "1:1 unknown key 'poool'; did you mean 'pool'?"],
  ['an unknown key', 'jobs: 1\nfrobnicate: a\n', `2:1 unknown key 'frobnicate'; ${TOP}`],
  ['a mistyped map', 'retension:\n  grace: 1h\n', "1:1 unknown key 'retension'; did you mean 'retention'?"],
  ['a key in the wrong map', 'grace: 1h\n', `1:1 unknown key 'grace'; ${TOP}`],
  ['a key without value', 'pool:\njobs: 2\n', `1:1 'pool' has no value; ${USE_DEFAULT}`],
  ['an empty value', 'pool: ""\n', `1:7 'pool' must be a single value; ${SEE_EXAMPLE}`],
  [
    'a word for shared that is none',
    'storage: {a: {shared: never}}\n',
    "1:23 'shared' cannot be never, only yes or no",
  ],
  ['a mistyped key of a pool', 'storage: {a: {share: no}}\n', "1:15 unknown key 'share'; did you mean 'shared'?"],
  ['a list in place of a value', 'pool: [a]\n', `1:7 'pool' must be a single value; ${SEE_EXAMPLE}`],
  [
    'a value in place of a map',
    'retention: 3\n',
    `1:12 'retention' must be a map of keys; write 'KEY: VALUE', with a space behind the colon`,
  ],
  [
    'too many jobs',
    'jobs: 17\n',
    "1:7 'jobs' must be a whole number from 1 to 16; write it in digits, such as 1, or leave it out to have the default",
  ],
  [
    'a number with a point',
    'jobs: 1.0\n',
    "1:7 'jobs' must be a whole number from 1 to 16; write it in digits, such as 1, or leave it out to have the default",
  ],
  ['a relative directory', 'state-dir: state\n', "1:12 'state-dir' must be an absolute path; begin it with /"],
  ['a period that is none', 'retention:\n  grace: soon\n', `2:10 'soon' is not a duration for 'grace'; ${DURATION}`],
  [
    'no patience',
    'stall-timeout: 0\n',
    "1:16 'stall-timeout' must be longer than nothing; leave it out to switch it off",
  ],
  [
    'a size that is none',
    'reserve: much\n',
    "1:10 'much' is not a size for 'reserve'; write bytes, or a number with K, M, G or T, such as 500M or 10G",
  ],
  [
    'a limit of nothing',
    'retention: {max-size: 0}\n',
    "1:23 'max-size' must be larger than nothing; leave it out to have no limit",
  ],
  ['an unknown choice', 'retention:\n  gone: drop\n', "2:9 'gone' cannot be drop, only keep or drop-when-unused"],
  [
    'no version',
    'retention:\n  keep-versions: 0\n',
    "2:18 'keep-versions' must be a whole number from 1 to 1000; write it in digits, such as 1, or leave it out to have the default",
  ],
  [
    'a user that can be none',
    'permissions:\n  owner: -1\n',
    "2:10 'owner' cannot be '-1'; give a name, such as libvirt-qemu, or a number",
  ],
  [
    'a mode by which everybody may write',
    'permissions:\n  mode: 0666\n',
    "2:9 'mode' cannot be 0666; the owner reads and writes, the group may, others may only read: such as 0600, 0640 or 0660",
  ],
  [
    'a mode by which libvirt cannot write what it makes',
    'permissions: {mode: 440}\n',
    "1:21 'mode' cannot be 440; the owner reads and writes, the group may, others may only read: such as 0600, 0640 or 0660",
  ],
  [
    'a mode that lets files be executed',
    'permissions: {mode: 0750}\n',
    "1:21 'mode' cannot be 0750; the owner reads and writes, the group may, others may only read: such as 0600, 0640 or 0660",
  ],
  [
    'permissions that are none',
    'permissions: 0640\n',
    `1:14 'permissions' must be a map of keys; write 'KEY: VALUE', with a space behind the colon`,
  ],
  [
    'other hosts',
    'peers: [qemu+ssh://b/system]\n',
    '1:8 several hosts on one pool are not supported yet, so their domains would not be seen; leave peers empty, and let poolkeeper delete nothing on storage that hosts share',
  ],
  ['peers that are no list', 'peers: b\n', "1:8 'peers' must be a list; write []: there are none yet"],
  [
    'a source without address',
    'sources:\n  a:\n    policy: none\n',
    "2:3 source 'a' has no 'url'; give the address that holds streams/",
  ],
  [
    'a source that is an address',
    `sources:\n  a: https://images.test/\n`,
    `2:6 'a' must be a map of keys; write 'KEY: VALUE', with a space behind the colon`,
  ],
  [
    'a name that is none',
    `sources:\n  a/b: {${ADDRESS}}\n`,
    "2:3 'a/b' cannot name a source; use letters, digits, '.', '_' and '-'",
  ],
  [
    'an address that cannot be read',
    'sources:\n  a:\n    url: ftp://images.test/\n',
    "3:10 the source 'ftp://images.test/' is of a kind that cannot be read; use https://, http://, file:/// or a path",
  ],
  [
    'an address without scheme',
    'sources: {a: {url: "images.test:8080/x"}}\n',
    "1:20 'url' is neither an address nor an absolute path; begin it with https://, http://, file:// or /",
  ],
  [
    'a relative address',
    'sources: {a: {url: mirror}}\n',
    "1:20 'url' is neither an address nor an absolute path; begin it with https://, http://, file:// or /",
  ],
  [
    'an address twice',
    `sources:\n  a: {${ADDRESS}}\n  b: {url: https://me:pw@images.test}\n`,
    "3:12 source 'b' has the address of source 'a'; write one source, with filters that select what both should",
  ],
  [
    'a mistyped key of a source',
    `sources:\n  a:\n    ${ADDRESS}\n    filter: [a]\n`,
    "4:5 unknown key 'filter'; did you mean 'filters'?",
  ],
  [
    'a policy that is none',
    `sources: {a: {${ADDRESS}, policy: trust}}\n`,
    "1:50 'policy' cannot be trust, only signed or none",
  ],
  [
    'a list that is none',
    `sources:\n  a:\n    ${ADDRESS}\n    filters: arch=amd64\n`,
    "4:14 'filters' must be a list; write [VALUE, VALUE], or '- VALUE' on a line for each",
  ],
  ['an empty list', `sources:\n  a:\n    ${ADDRESS}\n    items: []\n`, `4:12 'items' is empty; ${USE_DEFAULT}`],
  [
    'a filter that is none',
    `sources:\n  a:\n    ${ADDRESS}\n    filters:\n      - arch=amd64\n      - noble\n`,
    "6:9 'noble' is not a filter; write KEY=VALUE, KEY!=VALUE, KEY~REGEX or KEY!~REGEX",
  ],
  [
    'a mistyped publisher',
    `sources: {a: {${ADDRESS}, keyring: ubunut}}\n`,
    "1:51 'keyring' is neither a file nor a key: 'ubunut'; did you mean 'ubuntu'?",
  ],
  [
    'a keyring that is none',
    `sources: {a: {${ADDRESS}, keyring: keys.gpg}}\n`,
    "1:51 'keyring' is neither a file nor a key: 'keys.gpg'; write the absolute path of a file, a publisher (ubuntu), or the fingerprint of a key that was added",
  ],
  [
    'everything at once, in the order of the file',
    'jobs: 0\nretention:\n  gruce: 1h\npol: a\n',
    "1:7 'jobs' must be a whole number from 1 to 16; write it in digits, such as 1, or leave it out to have the default",
    "3:3 unknown key 'gruce'; did you mean 'grace'?",
    "4:1 unknown key 'pol'; did you mean 'pool'?",
  ],
];

describe('readConfiguration', () => {
  for (const [what, text, ...mistakes] of MISTAKES)
    it(`names the place of ${what}`, () => expect(mistakesIn(text)).to.deep.equal(mistakes));

  it('reads every key', () => {
    const text = [
      'connect: qemu:///system',
      'pool: images',
      'jobs: 4',
      'retention:',
      '  keep-versions: 2',
      '  unused-for: 30d',
      'peers: []',
      'sources:',
      '  ubuntu:',
      '    url: https://images.test/releases/',
      '    path: streams/v1/index.json',
      '    mirrors: [https://a.test/, /srv/mirror]',
      '    keyring: ubuntu',
      '    policy: signed',
      '    filters: [arch=amd64, "release~^(noble|jammy)$"]',
      '    items: [disk-kvm.img, disk1.img]',
      '    keep-versions: 3',
      '    gone: drop-when-unused',
      '    max-document-age: 60d',
      '  other: {url: /srv/other}',
      'storage:',
      '  images: {shared: no}',
      '  nfs: {shared: yes}',
      '',
    ].join('\n');
    const at = (line: number, column: number, value: unknown): unknown => ({ value, line, column });
    const nothing = {
      path: undefined,
      mirrors: undefined,
      keyring: undefined,
      policy: undefined,
      filters: undefined,
      items: undefined,
      keepVersions: undefined,
      gone: undefined,
      maxDocumentAge: undefined,
    };
    const { configuration, mistakes } = read(text);
    expect(mistakes).to.deep.equal([]);
    const { settings, sharing } = configuration;
    const plain = { settings: Object.fromEntries(settings), sharing: Object.fromEntries(sharing) };
    expect({ ...configuration, ...plain }).to.deep.equal({
      file: '/etc/c.yaml',
      sharing: { images: at(22, 20, 'no'), nfs: at(23, 17, 'yes') },
      settings: {
        connect: at(1, 10, 'qemu:///system'),
        pool: at(2, 7, 'images'),
        jobs: at(3, 7, 4),
        'keep-versions': at(5, 18, 2),
        'unused-for': at(6, 15, '30d'),
      },
      sources: [
        {
          name: 'ubuntu',
          url: 'https://images.test/releases/',
          path: 'streams/v1/index.json',
          mirrors: ['https://a.test/', '/srv/mirror'],
          keyring: 'ubuntu',
          policy: 'signed',
          filters: ['arch=amd64', 'release~^(noble|jammy)$'],
          items: ['disk-kvm.img', 'disk1.img'],
          keepVersions: 3,
          gone: 'drop-when-unused',
          maxDocumentAge: '60d',
          written: [
            { key: 'url', value: 'https://images.test/releases/', line: 10 },
            { key: 'path', value: 'streams/v1/index.json', line: 11 },
            { key: 'mirrors', value: ['https://a.test/', '/srv/mirror'], line: 12 },
            { key: 'keyring', value: 'ubuntu', line: 13 },
            { key: 'policy', value: 'signed', line: 14 },
            { key: 'filters', value: ['arch=amd64', 'release~^(noble|jammy)$'], line: 15 },
            { key: 'items', value: ['disk-kvm.img', 'disk1.img'], line: 16 },
            { key: 'keep-versions', value: 3, line: 17 },
            { key: 'gone', value: 'drop-when-unused', line: 18 },
            { key: 'max-document-age', value: '60d', line: 19 },
          ],
        },
        { ...nothing, name: 'other', url: '/srv/other', written: [{ key: 'url', value: '/srv/other', line: 20 }] },
      ],
    });
  });

  it('takes values as they are written, and follows anchors', () => {
    const { configuration, mistakes } = read('retention: &r {grace: 90}\npool: "007"\nsources: {}\n');
    expect(mistakes).to.deep.equal([]);
    expect([...configuration.settings].map(([key, { value }]) => [key, value])).to.deep.equal([
      ['pool', '007'],
      ['grace', '90'],
    ]);
    const twice = `sources:\n  a: {${ADDRESS}, filters: &f [arch=amd64]}\n  b: {url: /b, filters: *f}\n`;
    expect(read(twice).configuration.sources.map(({ filters }) => filters)).to.deep.equal([
      ['arch=amd64'],
      ['arch=amd64'],
    ]);
  });

  it('does not unfold what refers to itself many times over', () => {
    const levels = Array.from({ length: 7 }, (_, level) => {
      const members = Array.from({ length: 20 }, () => (level === 0 ? 'x' : `*l${level - 1}`));
      return `l${level}: &l${level} [${members.join(', ')}]\n`;
    });
    expect(mistakesIn(levels.join('')).some((line) => line.includes('this says too much'))).to.equal(true);
  });

  it('takes a file of comments, and maps of comments, for nothing', () => {
    for (const text of ['', '# pool: a\n', 'retention:\n#  grace: 1h\n', 'sources:\n', '---\n'])
      expect(mistakesIn(text), JSON.stringify(text)).to.deep.equal([]);
  });
});
