import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { errnoCode } from './errno.ts';

/** One line of mountinfo. */
export interface Mount {
  readonly id: number;
  readonly parent: number;
  /** `major:minor` of the file system. All subvolumes of a btrfs have the same one here, other than in stat(2). */
  readonly device: string;
  /** The path inside the file system of what is mounted: `/` unless it is a bind mount or a subvolume. */
  readonly root: string;
  /** Where it is mounted. */
  readonly point: string;
  /** How it is mounted there, such as `ro`. */
  readonly pointOptions: readonly string[];
  readonly type: string;
  /** What is mounted: a device, an export, or a word without a meaning. */
  readonly source: string;
  /** The options of the file system itself. */
  readonly options: readonly string[];
}

/** The mounts of one mount namespace. */
export interface MountTable {
  readonly mounts: readonly Mount[];
  /** The mount on which a path lies. It must be absolute, without links and detours. */
  of(this: void, path: string): Mount | undefined;
}

/**
 * Reads the mounts that this process sees, or another one, without asking any file system.
 *
 * Source: proc_pid_mountinfo(5).
 *
 * @throws the error of open(2).
 */
export function readMounts(path = '/proc/self/mountinfo'): MountTable {
  return mountTable(parseMounts(readFileSync(path, 'latin1')));
}

/** Reads the text of a mountinfo file, given byte by byte (Latin-1). A line that cannot be understood is left out. */
export function parseMounts(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const separator = line.indexOf(' - ');
    if (separator < 0) return [];
    const [id = '', parent = '', device = '', root = '', point = '', how = ''] = line.slice(0, separator).split(' ');
    const [type = '', source = '', options = ''] = line.slice(separator + 3).split(' ');
    if (!/^\d+$/.test(id) || !point.startsWith('/')) return [];
    // A comma that belongs to an option is escaped.
    return [
      {
        id: Number(id),
        parent: Number(parent),
        device,
        root: unescaped(root),
        point: unescaped(point),
        pointOptions: how.split(',').map(unescaped),
        type: unescaped(type),
        source: unescaped(source),
        options: options.split(',').map(unescaped),
      },
    ];
  });
}

/** Indexes mounts. Where several lie on one place, the last one hides the others and all that is mounted in them. */
export function mountTable(mounts: readonly Mount[]): MountTable {
  const ids = new Set(mounts.map(({ id }) => id));
  const mounted = mounts.filter(({ id, parent }) => id !== parent);
  const children = new Map(mounted.map((mount) => [`${mount.parent} ${mount.point}`, mount]));
  const top = mounts.find(({ point, parent, id }) => point === '/' && (parent === id || !ids.has(parent)));
  return {
    mounts,
    of: (path) => {
      let at = top;
      for (const prefix of prefixesOf(path)) {
        for (let next = at; next !== undefined; next = children.get(`${next.id} ${prefix}`)) at = next;
      }
      return at;
    },
  };
}

/** File systems that need somebody else to answer: a server, or a process of a user. Looking at them can wait for ever. */
const DISTANT: ReadonlySet<string> = new Set(
  'nfs nfs4 cifs smb3 smbfs 9p virtiofs ceph afs glusterfs lustre gfs2 ocfs2 gpfs beegfs orangefs coda autofs fuse fuseblk'.split(
    ' ',
  ),
);

/** Whether looking at a file system may wait for somebody else: a network file system, FUSE, or an automounter. */
export function isDistant({ type }: Pick<Mount, 'type'>): boolean {
  return DISTANT.has(type) || type.startsWith('fuse.');
}

/** What a path leads to, as far as local file systems can tell. */
export type LocalPath =
  | { readonly is: 'here'; readonly path: string }
  | { readonly is: 'missing' }
  /** A file system lies on the way that may not answer. */
  | { readonly is: 'distant'; readonly mount: Mount }
  /** The way cannot be gone, by the error's code. */
  | { readonly is: 'closed'; readonly code: string };

/** As in path_resolution(7). */
const MAX_LINKS = 40;

/** Resolves an absolute path link by link, and never looks at a file system that may not answer. */
export function resolveLocally(path: string, table: MountTable): LocalPath {
  const left = path.split('/').toReversed();
  let at = '/';
  let links = 0;
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    if (name === '' || name === '.') continue;
    const next = name === '..' ? parentOf(at) : `${at === '/' ? '' : at}/${name}`;
    const mount = table.of(next);
    if (mount !== undefined && isDistant(mount)) return { is: 'distant', mount };
    try {
      if (!lstatSync(next).isSymbolicLink()) {
        at = next;
        continue;
      }
      links += 1;
      if (links > MAX_LINKS) return { is: 'closed', code: 'ELOOP' };
      const target = readlinkSync(next);
      if (target.startsWith('/')) at = '/';
      left.push(...target.split('/').toReversed());
    } catch (error) {
      const code = errnoCode(error) ?? 'EIO';
      return code === 'ENOENT' || code === 'ENOTDIR' ? { is: 'missing' } : { is: 'closed', code };
    }
  }
  return { is: 'here', path: at };
}

/** The number of a device as stat(2) shows it, by `major:minor`. Source: glibc's `gnu_dev_makedev`. */
export function deviceNumber(device: string): bigint | undefined {
  const [, majorText, minorText] = /^(\d+):(\d+)$/.exec(device) ?? [];
  if (majorText === undefined || minorText === undefined) return undefined;
  const [major, minor] = [BigInt(majorText), BigInt(minorText)];
  return ((major & 0xffff_f000n) << 32n) | ((major & 0xfffn) << 8n) | ((minor & 0xffff_ff00n) << 12n) | (minor & 0xffn);
}

/** A field of mountinfo or fstab(5), given byte by byte (Latin-1), without its octal escapes: a blank is `\040`. */
export function unescaped(text: string): string {
  const bytes = text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return Buffer.from(bytes, 'latin1').toString();
}

/** `/`, `/a` and `/a/b` of `/a/b`. */
function prefixesOf(path: string): readonly string[] {
  const prefixes = ['/'];
  for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1)) prefixes.push(path.slice(0, at));
  if (path.length > 1 && !path.endsWith('/')) prefixes.push(path);
  return prefixes;
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}
