import type { PoolVolume } from '../core/sweep-plan.ts';
import { FailureError } from '../errors.ts';
import type { Orphan } from '../report/orphans-report.ts';
import { ask, confirm } from '../report/prompt.ts';
import { volumeText } from '../report/sweep-report.ts';
import type { CommandContext } from './context.ts';

/**
 * Asks which orphans to delete: all, none, or one by one.
 *
 * @throws FailureError when none is chosen, or when there is nobody to ask.
 */
export async function chooseOrphans(
  orphans: readonly Orphan[],
  { yes }: { readonly yes: boolean },
  context: CommandContext,
): Promise<readonly PoolVolume[]> {
  const volumes = orphans.map(({ volume }) => volume);
  if (yes) return volumes;
  if (!context.isInteractive) {
    throw new FailureError('cannot ask whether to delete orphaned volumes', {
      hint: 'without a terminal, confirm with --yes',
    });
  }
  const answer = await ask('Proceed [N] Yes/No/Interactive: ', context, context.signal);
  context.signal.throwIfAborted();
  if (/^y(es)?$/i.test(answer)) return volumes;
  const chosen = /^i(nteractive)?$/i.test(answer) ? await chooseEach(volumes, context) : [];
  if (chosen.length === 0) throw new FailureError('nothing was deleted');
  return chosen;
}

async function chooseEach(volumes: readonly PoolVolume[], context: CommandContext): Promise<readonly PoolVolume[]> {
  const chosen: PoolVolume[] = [];
  for (const volume of volumes) {
    if (await confirm(`Delete ${volumeText(volume)}?`, context, context.signal)) chosen.push(volume);
    context.signal.throwIfAborted();
  }
  return chosen;
}
