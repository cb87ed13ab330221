import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { type Mount, parseMounts, unescaped } from '../util/mounts.ts';
import { leadsTo } from './leads-to.ts';

/** What is mounted on this host, and what is configured to be. */
export interface MountFacts {
  readonly mounted: readonly Mounted[];
  readonly configured: readonly Configured[];
}

type Mounted = Pick<Mount, 'point' | 'type' | 'source'>;

interface Configured {
  readonly point: string;
  /** The file that says so, or `autofs`. */
  readonly by: string;
}

/** Where a path would lie. */
export interface PathPlace {
  /** The file system that is mounted there now. */
  readonly mounted: Mounted | undefined;
  /** What is configured to be mounted there, or on the way there, and is not. */
  readonly awaited: Configured | undefined;
}

/** Where to read it. */
interface MountFiles {
  readonly mountinfo: string;
  readonly fstab: string;
  readonly unitDirs: readonly string[];
}

const FILES: MountFiles = {
  mountinfo: '/proc/self/mountinfo',
  fstab: '/etc/fstab',
  unitDirs: [
    '/etc/systemd/system',
    '/run/systemd/system',
    '/run/systemd/generator',
    '/usr/local/lib/systemd/system',
    '/usr/lib/systemd/system',
  ],
};

/** Reads proc(5) `mountinfo`, fstab(5), and the mount and automount units of systemd. What is not there says nothing. */
export function readMountFacts({ mountinfo, fstab, unitDirs }: MountFiles = FILES): MountFacts {
  const mounted = parseMounts(textOf(mountinfo, 'latin1'));
  const inFstab = linesOf(fstab, 'latin1').flatMap((line): readonly Configured[] => {
    const point = /^[ \t]*[^# \t][^ \t]*[ \t]+(\/[^ \t]*)/.exec(line)?.[1];
    return point === undefined ? [] : [{ point: unescaped(point), by: fstab }];
  });
  const configured = [...inFstab, ...unitDirs.flatMap(unitsIn)];
  return { mounted, configured: configured.map(({ point, by }) => ({ point: leadsTo(point), by })) };
}

/** Where a path would lie. An autofs(5) whose file system is not mounted waits for it. */
export function pathPlaceOf(path: string, { mounted, configured }: MountFacts): PathPlace {
  const above = foldersOf(path);
  const isAbove = ({ point }: { readonly point: string }): boolean => above.has(point);
  const around = mounted.filter(isAbove);
  // Of several on one point, the last in the list lies on top.
  const nearest = around.reduce<Mounted | undefined>(
    (best, each) => (best === undefined || each.point.length >= best.point.length ? each : best),
    undefined,
  );
  const points = new Set(around.map(({ point }) => point));
  const awaited = configured.find((each) => isAbove(each) && each.point !== '/' && !points.has(each.point));
  const automount = nearest?.type === 'autofs' ? { point: nearest.point, by: 'autofs' } : undefined;
  return { mounted: nearest, awaited: awaited ?? automount };
}

function foldersOf(path: string): ReadonlySet<string> {
  const folders = new Set([path, '/']);
  for (let at = path; at !== '/' && at !== '.'; at = posix.dirname(at)) folders.add(at);
  return folders;
}

function unitsIn(dir: string): readonly Configured[] {
  return namesIn(dir)
    .filter((name) => /\.(?:auto)?mount$/.test(name))
    .flatMap((name) => {
      const by = join(dir, name);
      const point = linesOf(by).flatMap((line) => /^\s*Where\s*=\s*(\/.*?)\s*$/.exec(line)?.[1] ?? [])[0];
      return point === undefined ? [] : [{ point, by }];
    });
}

function linesOf(path: string, encoding: BufferEncoding = 'utf8'): readonly string[] {
  return textOf(path, encoding).split('\n');
}

function textOf(path: string, encoding: BufferEncoding): string {
  try {
    return readFileSync(path, encoding);
  } catch {
    return '';
  }
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
