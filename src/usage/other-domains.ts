import { opendirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { errnoCode } from '../util/errno.ts';
import { KernelError, asFileUser } from '../util/kernel.ts';
import { type MountTable, resolveLocally } from '../util/mounts.ts';
import { readShort } from '../util/read-short.ts';

/** Where definitions of domains lie that no connection to a system daemon lists. */
export interface DomainPlaces {
  /** In the form of passwd(5). */
  readonly accounts: string;
  /** A folder of home folders, also of those whose accounts are not in that file. */
  readonly homes: string;
  /** Folders of libvirt's other drivers, each with the scheme of its URIs. */
  readonly drivers: readonly { readonly scheme: string; readonly folder: string }[];
}

/** Places of this host. Source: libvirt, `virQEMUDriverConfigNew`, `virLXCDriverConfigNew` and their kin. */
export const DOMAIN_PLACES: DomainPlaces = {
  accounts: '/etc/passwd',
  homes: '/home',
  drivers: [
    { scheme: 'lxc', folder: '/etc/libvirt/lxc' },
    { scheme: 'xen', folder: '/etc/libvirt/libxl' },
    { scheme: 'ch', folder: '/etc/libvirt/ch' },
  ],
};

/** A definition of a domain, as libvirt keeps it on disk. */
export interface OtherDomain {
  /** What to call it, e.g. `domain web1 of user alice's session`. */
  readonly label: string;
  readonly xml: string;
}

/** Something that could not be looked through. It holds nothing back, and is said by `doctor`. */
export interface UnreadPlace {
  readonly what: string;
  readonly cause: string;
  readonly remedy: string;
}

/** What was found in all these places. */
export interface OtherDomains {
  readonly domains: readonly OtherDomain[];
  readonly unread: readonly UnreadPlace[];
}

/** Longer than any document that libvirt hands out would be worth reading (it refuses them beyond 32 MiB). */
const MAX_BYTES = 4 * 1024 * 1024;

/** More than anybody defines; whoever owns the folder must not keep this from ending. */
const MAX_FILES = 10_000;
const MAX_TOTAL_BYTES = 4 * MAX_BYTES;

/** What a session daemon reads its domains from, below a home folder. */
const SESSION = '.config/libvirt/qemu';

interface Account {
  readonly name: string;
  readonly home: string;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Reads definitions of domains that the daemon at hand does not list: those of every user's session daemon, and of libvirt's
 * other drivers. No daemon is asked or started, and no home folder on a network file system is entered. A user's files are read
 * with that user's own rights, where this process may take them on, so no link leads to what the user cannot read.
 *
 * @param listed the daemon at hand, whose own domains are known: the scheme of its URI, and whose session it is, if any.
 */
export function readOtherDomains(
  places: DomainPlaces,
  table: MountTable,
  listed: { readonly scheme: string; readonly sessionUid: number | undefined },
): OtherDomains {
  const domains: OtherDomain[] = [];
  const unread: UnreadPlace[] = [];
  for (const { scheme, folder } of places.drivers) {
    if (scheme === listed.scheme) continue;
    const found = readFolder(folder, table, undefined);
    for (const { file, xml } of found.files) domains.push({ label: `domain ${nameOf(file)} (${scheme})`, xml });
    for (const { path, cause } of found.unread) unread.push(unreadOf(`domains of ${scheme} in '${path}'`, cause));
  }
  for (const { name, home, owner } of accountsOf(places, table, unread)) {
    if (owner !== undefined && owner.uid === listed.sessionUid) continue;
    const found = readFolder(`${home === '/' ? '' : home}/${SESSION}`, table, owner);
    for (const { file, xml } of found.files) {
      domains.push({ label: `domain ${nameOf(file)} of user ${name}'s session`, xml });
    }
    for (const { path, cause } of found.unread) unread.push(unreadOf(`domains of user ${name} in '${path}'`, cause));
  }
  return { domains, unread };
}

function nameOf(file: string): string {
  return file.slice(0, -'.xml'.length);
}

function unreadOf(what: string, cause: string): UnreadPlace {
  return { what, cause, remedy: 'run poolkeeper as root, and keep home folders on file systems of this host' };
}

/** The accounts of this host and the folders among the homes, each home once. */
function accountsOf(places: DomainPlaces, table: MountTable, unread: UnreadPlace[]): readonly Account[] {
  const accounts = new Map<string, Account>();
  try {
    for (const line of readFileSync(places.accounts, 'utf8').split('\n')) {
      const [name = '', , uid = '', gid = '', , home = ''] = line.split(':');
      const plain = home.replace(/\/+$/, '') || '/';
      if (!home.startsWith('/') || !/^\d+$/.test(uid) || !/^\d+$/.test(gid) || accounts.has(plain)) continue;
      accounts.set(plain, { name, home: plain, owner: { uid: Number(uid), gid: Number(gid) } });
    }
  } catch (error) {
    unread.push(unreadOf(`accounts in '${places.accounts}'`, causeOf(error)));
  }
  const homes = resolveLocally(places.homes, table);
  if (homes.is === 'distant') unread.push(unreadOf(`homes in '${places.homes}'`, distantText(homes.mount.type)));
  if (homes.is !== 'here') return [...accounts.values()];
  try {
    for (const entry of readdirSync(homes.path, { withFileTypes: true })) {
      const home = `${places.homes}/${entry.name}`;
      if (entry.isFile() || accounts.has(home)) continue;
      accounts.set(home, { name: entry.name, home, owner: ownerOf(home, table) });
    }
  } catch (error) {
    unread.push(unreadOf(`homes in '${places.homes}'`, causeOf(error)));
  }
  return [...accounts.values()];
}

/** The owner of a home folder that no account names. */
function ownerOf(home: string, table: MountTable): Account['owner'] {
  const place = resolveLocally(home, table);
  try {
    return place.is === 'here' ? statSync(place.path) : undefined;
  } catch {
    return undefined;
  }
}

interface ReadFolder {
  readonly files: readonly { readonly file: string; readonly xml: string }[];
  readonly unread: readonly { readonly path: string; readonly cause: string }[];
}

/** Reads the definitions in a folder, as its owner where that is known. What is not there is none. */
function readFolder(folder: string, table: MountTable, owner: Account['owner']): ReadFolder {
  const place = resolveLocally(folder, table);
  if (place.is === 'missing') return { files: [], unread: [] };
  if (place.is === 'distant') return { files: [], unread: [{ path: folder, cause: distantText(place.mount.type) }] };
  if (place.is === 'closed') return { files: [], unread: [{ path: folder, cause: place.code }] };
  const read = (): ReadFolder => readDefinitions(place.path);
  if (owner === undefined) return read();
  try {
    return asFileUser(owner, read);
  } catch (error) {
    // Without root, only what this user may read anyway can be read.
    if (error instanceof KernelError && error.code === 'EPERM') return read();
    throw error;
  }
}

function readDefinitions(folder: string): ReadFolder {
  const files: { readonly file: string; readonly xml: string }[] = [];
  const unread: { readonly path: string; readonly cause: string }[] = [];
  let names: readonly string[];
  try {
    names = listNames(folder);
  } catch (error) {
    const code = causeOf(error);
    return { files, unread: code === 'ENOENT' || code === 'ENOTDIR' ? [] : [{ path: folder, cause: code }] };
  }
  if (names.length === MAX_FILES) unread.push({ path: folder, cause: `it holds ${MAX_FILES} files or more` });
  let total = 0;
  for (const file of names.filter((name) => name.endsWith('.xml'))) {
    const path = `${folder}/${file}`;
    try {
      // Whoever owns the folder decides what lies in it, so no link is followed.
      const xml = readShort(path, MAX_BYTES, false);
      total += xml.length;
      if (total > MAX_TOTAL_BYTES) {
        unread.push({ path, cause: `the definitions are larger than ${MAX_TOTAL_BYTES} bytes together` });
        break;
      }
      files.push({ file, xml });
    } catch (error) {
      const code = causeOf(error);
      if (code !== 'ENOENT') unread.push({ path, cause: code });
    }
  }
  return { files, unread };
}

/** The first names in a folder. */
function listNames(folder: string): readonly string[] {
  const names: string[] = [];
  const dir = opendirSync(folder);
  try {
    for (let entry = dir.readSync(); entry !== null && names.length < MAX_FILES; entry = dir.readSync()) {
      names.push(entry.name);
    }
    return names.toSorted();
  } finally {
    dir.closeSync();
  }
}

function distantText(type: string): string {
  return `it lies on a file system of type ${type}, which is not entered`;
}

/** The code of a system error, or what `readShort` says. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) throw error;
  return errnoCode(error) ?? error.message;
}
