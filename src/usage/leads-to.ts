import { lstatSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';

/** The kernel follows no more links (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * The path at which a path ends that leads to nothing, with every link on the way followed as far as there is something: a name is
 * judged where it leads. Of links in a circle, the path as it was given.
 */
export function leadsTo(path: string): string {
  let rest = posix.normalize(path).split('/').filter(isPart);
  let reached = '/';
  for (let links = 0; links <= MAX_LINKS;) {
    const [name, ...others] = rest;
    if (name === undefined) return reached;
    const next = name === '..' ? posix.dirname(reached) : posix.join(reached, name);
    const target = linkAt(next);
    if (target === undefined) {
      reached = next;
      rest = others;
      continue;
    }
    links += 1;
    if (target.startsWith('/')) reached = '/';
    rest = [...target.split('/').filter(isPart), ...others];
  }
  return path;
}

function isPart(name: string): boolean {
  return name !== '' && name !== '.';
}

/** What a link says; `undefined` where there is none. */
function linkAt(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}
