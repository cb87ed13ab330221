import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CAPABILITIES, hasCapability } from '../util/capabilities.ts';
import { parseMounts } from '../util/mounts.ts';
import { shellWord } from '../util/shell.ts';

/** What Linux says of this process, as far as it explains a refusal. */
export interface ServiceFacts {
  /** `/proc/self/cgroup`: names the unit of systemd that the process belongs to. */
  readonly cgroup: string;
  /** `/proc/self/mountinfo`. */
  readonly mountinfo: string;
  /** `/proc/self/status`. */
  readonly status: string;
}

/** What each setting of a unit makes read-only (systemd.exec(5)). */
const READ_ONLY = [
  [/^\/(?:home|root|run\/user)(?:\/|$)/, 'ProtectHome=read-only', 'ProtectHome=no'],
  [/^\/(?:usr|boot|efi|etc)(?:\/|$)/, 'ProtectSystem=full', 'ProtectSystem=no'],
  [/^\//, 'ProtectSystem=strict', 'ProtectSystem=full'],
] as const;

/**
 * What the user can do about a file operation that failed with EROFS, EACCES or EPERM because the process is a service with less
 * than root's rights: names the setting of the unit. `undefined` when no unit is the reason.
 */
export function serviceHint(code: string, path: string, facts: ServiceFacts = readFacts()): string | undefined {
  const unit = /\/([^/\n]+\.service)(?:\/[^\n]*)?$/m.exec(facts.cgroup)?.[1];
  if (unit === undefined) return undefined;
  if (code === 'EROFS') {
    if (!isReadOnlyHereAlone(path, facts.mountinfo)) return undefined;
    const found = READ_ONLY.find(([pattern]) => pattern.test(path));
    if (found === undefined) return undefined;
    const [, setting, other] = found;
    return `${setting} of ${unit} forbids it: name another place, or set ${other} below [Service] with 'systemctl edit ${unit}'`;
  }
  const isRoot = /^Uid:\s+\d+\s+0\s/m.test(facts.status);
  if (!isRoot || hasCapability(facts.status, CAPABILITIES.dacOverride)) return undefined;
  const dir = shellWord(dirname(path));
  return code === 'EACCES'
    ? `CapabilityBoundingSet= of ${unit} leaves root only the rights that modes give; run as root: chgrp root ${dir} && chmod g+rwx ${dir}`
    : `CapabilityBoundingSet= or SystemCallFilter= of ${unit} forbids it: do this once in a shell of root`;
}

/** Whether only the mount that this process sees is read-only, and not the file system on it. */
function isReadOnlyHereAlone(path: string, mountinfo: string): boolean {
  let longest = -1;
  let isAlone = false;
  for (const { point, pointOptions, options } of parseMounts(mountinfo)) {
    const isAbove = path === point || path.startsWith(point === '/' ? point : `${point}/`);
    // Of two mounts on one place, the later one covers the other.
    if (!isAbove || point.length < longest) continue;
    longest = point.length;
    isAlone = pointOptions.includes('ro') && !options.includes('ro');
  }
  return isAlone;
}

function readFacts(): ServiceFacts {
  const read = (name: string): string => {
    try {
      return readFileSync(`/proc/self/${name}`, 'latin1');
    } catch {
      return '';
    }
  };
  return { cgroup: read('cgroup'), mountinfo: read('mountinfo'), status: read('status') };
}
