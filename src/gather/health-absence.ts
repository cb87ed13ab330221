import { absentText } from '../core/absent-name.ts';
import { type Finding, ok, problem } from '../core/finding.ts';
import { readForgotten } from '../state/forgotten.ts';
import type { PoolPatient } from './health.ts';

/** Which names count as gone for good, because somebody said so. */
export async function checkForgotten({ connection, stateDir }: PoolPatient): Promise<readonly Finding[]> {
  const { hosts, unreadable } = await readForgotten(stateDir);
  const names = hosts.find(({ uri }) => uri === connection.uri)?.names ?? [];
  const findings = [
    ...unreadable.map(({ error }) =>
      problem(
        `${error.message}; the names in it are waited for`,
        error.hint ?? `forget them anew: 'poolkeeper forget --missing'`,
      ),
    ),
    ...names.map(({ name, since, by, reason }) => {
      const why = reason === undefined ? '' : ` (${reason})`;
      return ok(
        `'${absentText(name)}' counts as gone for good, as ${by} said on ${new Date(since).toISOString()}${why}`,
      );
    }),
  ];
  return findings.length > 0 ? findings : [ok('no name was forgotten')];
}

/** What no run can see on any host. */
export function checkLimits(): readonly Finding[] {
  return [
    ok(
      'nobody can see what wrapper scripts open that stand for an emulator, files of virsh save after their domain was ' +
        'undefined, TFTP roots, hosts without poolkeeper, and libvirtd in containers that cannot be asked: lock what they need',
    ),
  ];
}
