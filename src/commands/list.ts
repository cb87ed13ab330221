import type { Argv } from 'yargs';
import { matchesAll, parseFilter } from '../core/filter.ts';
import { traitsOf } from '../core/image-summary.ts';
import { seePool } from '../gather/judge-pool.ts';
import { showImages, VOCABULARIES, type Vocabulary } from '../report/image-report.ts';
import { readTasks } from '../state/tasks.ts';
import type { CommandContext } from './context.ts';
import { type FoundImage, imagesOf } from './find-image.ts';
import { summarizeImages } from './image-summaries.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { openSession, type Session, withConnection } from './session.ts';
import { showWholeTrash } from './trash.ts';
import { timedExpression } from './timed-expression.ts';
import { warnOfSlips } from './warn-of-slips.ts';

interface ListArguments extends PoolArguments {
  readonly filters: readonly string[] | undefined;
  readonly states: Vocabulary;
  readonly all: boolean;
  readonly trash: boolean;
}

/** `list [FILTER…]`: shows the images of the pool, whatever their state. */
export function listCommand(context: CommandContext): Verb<ListArguments> {
  return {
    builder: (yargs) => listOptions(yargs) as Argv<ListArguments>,
    handler: (options) =>
      withConnection(options, async (connection) => list(await openSession(context, options, connection), options)),
  };
}

function listOptions(yargs: Argv): Argv {
  return statesOption(poolOptions(yargs))
    .positional('filters', {
      type: 'string',
      array: true,
      describe: 'KEY=VALUE, KEY!=VALUE, KEY~REGEX, KEY!~REGEX; status and type are keys as well',
    })
    .option('trash', { type: 'boolean', default: false, describe: 'what was deleted and can still be brought back' })
    .option('all', { type: 'boolean', default: false, describe: 'also what was deleted lately, and snapshots' });
}

/** The option that tells whose words states are told in. */
export function statesOption<T>(yargs: Argv<T>) {
  return yargs.option('states', {
    choices: VOCABULARIES,
    requiresArg: true,
    default: 'glance' as const,
    describe: 'whose words to tell the states in',
  });
}

/** Nothing is changed, whatever is found. */
async function list(
  session: Session,
  { filters: texts = [], states, all, trash, quiet }: ListArguments,
): Promise<void> {
  if (trash) return showWholeTrash(session);
  const filters = texts.map((text) => parseFilter(text, timedExpression));
  const now = session.context.clock.now();
  const { tasks } = await readTasks(session.paths.tasks);
  const sight = await seePool(session);
  for (const { error } of sight.view.damaged) session.reporter.warning(error.message, error.hint);
  const candidates = imagesOf(sight.view).filter((image) => all || isCurrent(image));
  const images = candidates.filter((image) => matchesAll(filterable(image), filters));
  if (images.length === 0 && !quiet)
    warnOfSlips(filters, { items: candidates.map(filterable), what: 'images' }, session.reporter);
  showImages(summarizeImages(images, { sight, tasks, now }), { vocabulary: states, now }, session.reporter);
}

function isCurrent({ status, record }: FoundImage): boolean {
  return status !== 'deleted' && record?.traits?.snapshotOf === undefined;
}

function filterable({ tags, status, record }: FoundImage): FoundImage['tags'] {
  return { ...tags, status, type: traitsOf(record).type };
}
