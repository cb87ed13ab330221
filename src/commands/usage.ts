import type { Argv } from 'yargs';
import { type ImageUsage, measureUsage } from '../core/space-usage.ts';
import { seePool } from '../gather/judge-pool.ts';
import { measuredImages } from '../gather/measured-images.ts';
import { showImageUsage, showUsageTotals, showUserUsage } from '../report/usage-report.ts';
import { readTrash } from '../app/trash.ts';
import { showTrashTotals } from '../report/trash-report.ts';
import type { CommandContext } from './context.ts';
import { findImage, imagesOf } from './find-image.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { openSession, type Session, withConnection } from './session.ts';

interface UsageArguments extends PoolArguments {
  readonly image: readonly string[] | undefined;
  readonly by: 'image' | 'domain';
}

/** `usage [IMAGE]`: shows what images take up, for whom, and what could be reclaimed. */
export function usageCommand(context: CommandContext): Verb<UsageArguments> {
  return {
    builder: (yargs) => usageOptions(yargs) as unknown as Argv<UsageArguments>,
    handler: (options) =>
      withConnection(options, async (connection) => usage(await openSession(context, options, connection), options)),
  };
}

function usageOptions<T>(yargs: Argv<T>) {
  return poolOptions(yargs)
    .positional('image', {
      type: 'string',
      array: true,
      describe: 'VOLUME, PRODUCT VERSION, or filters that match one image; default: all',
    })
    .option('by', {
      type: 'string',
      requiresArg: true,
      choices: ['image', 'domain'] as const,
      default: 'image' as const,
      describe: 'what a line is about; domain: what would be freed without it',
    });
}

async function usage(session: Session, { image: words = [], by }: UsageArguments): Promise<void> {
  const sight = await seePool(session);
  const chosen = words.length === 0 ? undefined : findImage(words, imagesOf(sight.view)).volumeName;
  const isChosen = ({ image }: ImageUsage): boolean => chosen === undefined || image.volumeName === chosen;
  const { images, users } = measureUsage(sight.gathered.graph, measuredImages(sight, session.context.clock.now()));
  if (by === 'image') {
    showImageUsage(images.filter(isChosen), session.reporter);
  } else {
    const needed = users.filter((user) =>
      user.images.some(({ volumeName }) => chosen === undefined || volumeName === chosen),
    );
    showUserUsage(needed, session.reporter);
  }
  if (chosen !== undefined) return;
  showUsageTotals(images, session.reporter);
  const { pool, context, paths, trashForMs, reporter } = session;
  showTrashTotals(await readTrash({ pool, uid: context.uid }, paths), trashForMs, reporter);
}
