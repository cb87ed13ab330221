import { setTimeout as delay } from 'node:timers/promises';
import type { Argv } from 'yargs';
import { isOver, type Task } from '../core/task.ts';
import { FailureError, NoMatchError } from '../errors.ts';
import { surfaceOf } from '../report/surface.ts';
import { renderTasks, showTasks } from '../report/task-report.ts';
import { readTasks } from '../state/tasks.ts';
import type { CommandContext } from './context.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { openSession, type Session, withConnection } from './session.ts';

interface TasksArguments extends PoolArguments {
  readonly id: string | undefined;
  readonly watch: boolean;
}

/** Progress is written down once a second. */
const WATCH_INTERVAL_MS = 1000;

/** `tasks [ID]`: shows long operations, under way or over. */
export function tasksCommand(context: CommandContext): Verb<TasksArguments> {
  return {
    builder: (yargs) => tasksOptions(yargs) as unknown as Argv<TasksArguments>,
    handler: (options) =>
      withConnection(options, async (connection) => openSession(context, options, connection), 1).then((session) =>
        options.watch ? watch(session, options) : show(session, options),
      ),
  };
}

function tasksOptions<T>(yargs: Argv<T>) {
  return poolOptions(yargs)
    .positional('id', { type: 'string', describe: 'show this one only' })
    .option('watch', { type: 'boolean', default: false, describe: 'go on until all of them are over' });
}

async function show(session: Session, options: TasksArguments): Promise<void> {
  showTasks(await chosenTasks(session, options), session.reporter);
}

/**
 * Draws what is under way anew every second, over what was drawn before where that is possible.
 *
 * @throws FailureError when one of the watched tasks failed; the reason of the signal.
 */
async function watch(session: Session, options: TasksArguments): Promise<void> {
  const { context, reporter } = session;
  const watched = new Set((await chosenTasks(session, options)).filter(isWatched(options)).map(({ id }) => id));
  const screen = createScreen(context, options);
  for (;;) {
    const tasks = (await readTasks(session.paths.tasks)).tasks.filter(({ id }) => watched.has(id));
    screen.draw(tasks);
    if (tasks.every(isOver)) {
      if (!screen.isDrawn) showTasks(tasks, reporter);
      const failed = tasks.filter(({ status }) => status === 'failure');
      if (failed.length > 0) throw new FailureError(`${failed.length} of ${tasks.length} task(s) failed`);
      return;
    }
    await delay(WATCH_INTERVAL_MS, undefined, { signal: context.signal }).catch(() => context.signal.throwIfAborted());
  }
}

function isWatched({ id }: TasksArguments): (task: Task) => boolean {
  return (task) => id !== undefined || !isOver(task);
}

/** A terminal shows the state of things; elsewhere only the end is worth a line. */
function createScreen({ stdout, env }: CommandContext, { json }: TasksArguments) {
  const isDrawn = stdout.isTTY === true && !json;
  let drawn = 0;
  return {
    isDrawn,
    draw: (tasks: readonly Task[]): void => {
      if (!isDrawn || tasks.length === 0) return;
      const text = renderTasks(tasks, surfaceOf(stdout, env));
      stdout.write(`${drawn === 0 ? '' : `\u001b[${drawn}A\u001b[0J`}${text}`);
      drawn = text.split('\n').length - 1;
    },
  };
}

async function chosenTasks({ paths, pool, reporter }: Session, { id }: TasksArguments): Promise<readonly Task[]> {
  const { tasks, unreadable } = await readTasks(paths.tasks);
  for (const { error } of unreadable) reporter.warning(error.message, error.hint);
  const chosen = tasks.filter((task) => id === undefined || task.id === id);
  if (id !== undefined && chosen.length === 0) {
    throw new NoMatchError(`there is no task '${id}' in storage pool '${pool.name}'`, {
      hint: `'poolkeeper tasks' shows those that there are`,
    });
  }
  return chosen;
}
