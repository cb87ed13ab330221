import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { CommandExit, NoMatchError, UsageError } from '../errors.ts';
import type { HeldImage } from '../execute/hold-image.ts';
import { runCommand } from '../execute/run-command.ts';
import { showEnded, showLeases } from '../report/lease-report.ts';
import { processState, readHostMoment } from '../state/host-moment.ts';
import { readLeases, removeLease, stateOfLease } from '../state/leases.ts';
import type { CommandContext } from './context.ts';
import { anyOption, holdImage, parseTtl } from './hold-image.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { openSession, type Session, withConnection } from './session.ts';

interface RunArguments extends PoolArguments {
  readonly image: readonly string[];
  readonly ttl: string;
  readonly any: boolean;
}

interface ReleaseArguments extends PoolArguments {
  readonly id: string;
}

/** What stands for the volume's path in the arguments of a command. */
const PLACEHOLDER = '{}';

/** `lease run|list|release`: keeps an image while something is built on it. */
export function leaseCommand(context: CommandContext): Verb<object> {
  return {
    builder: (yargs) =>
      yargs
        .command(runLeased(context))
        .command(listCommand(context))
        .command(releaseCommand(context))
        .demandCommand(1, 'name a lease command: run, list or release'),
    handler: () => undefined,
  };
}

function runLeased(context: CommandContext): CommandModule<object, RunArguments> {
  return {
    command: 'run <image..>',
    describe: 'run the command behind -- while nothing can delete the image',
    builder: (yargs) => runOptions(yargs) as Argv<RunArguments>,
    handler: (options) => withConnection(options, (connection) => run(context, options, connection)),
  };
}

function runOptions(yargs: Argv): Argv {
  return anyOption(poolOptions(yargs))
    .parserConfiguration({ 'populate--': true })
    .positional('image', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'VOLUME, "PRODUCT VERSION", PRODUCT, or filters that match one offered image',
    })
    .option('ttl', {
      type: 'string',
      requiresArg: true,
      default: '1h',
      describe: 'end the lease after this long even if the command still runs; at most 24h',
    });
}

async function run(
  context: CommandContext,
  options: ArgumentsCamelCase<RunArguments>,
  connection: Session['connection'],
): Promise<void> {
  const command = context.wordsBehindDashes;
  const ttlMs = parseTtl(options.ttl);
  if (command.length === 0) {
    throw new UsageError('name the command to run', { hint: 'write it behind --, as in: lease run IMAGE -- COMMAND' });
  }
  const session = await openSession(context, options, connection);
  const request = { words: options.image, isAny: options.any, purpose: 'lease' as const, command, ttlMs };
  // Signals are the command's: once it has ended, one that comes late must not keep the lease from being released.
  const ignoreSignals = context.onStopSignal(() => undefined);
  try {
    const status = await holdImage(session, request, (held) => runHeld(session, held));
    if (status !== 0) throw new CommandExit(status);
  } finally {
    ignoreSignals();
  }
}

async function runHeld(
  { context, connection, pool, reporter }: Session,
  { lease, volume }: HeldImage,
): Promise<number> {
  context.signal.throwIfAborted();
  const status = await runCommand({
    command: context.wordsBehindDashes.map((word) => word.replaceAll(PLACEHOLDER, () => volume.path)),
    // What it starts of virsh, virt-install or poolkeeper then works on the same libvirt and pool.
    env: {
      ...context.env,
      POOLKEEPER_IMAGE_PATH: volume.path,
      POOLKEEPER_POOL: pool.name,
      LIBVIRT_DEFAULT_URI: connection.uri,
    },
    cwd: context.cwd,
    onStopSignal: context.onStopSignal,
    isOnTerminal: context.isInteractive,
  });
  if ((await stateOfLease(lease, await readHostMoment(context.clock.now()))) !== 'live') showEnded(lease, reporter);
  return status;
}

function listCommand(context: CommandContext): CommandModule<object, PoolArguments> {
  return {
    command: 'list',
    describe: 'list the leases of the pool',
    builder: (yargs) => poolOptions(yargs) as Argv<PoolArguments>,
    handler: (options) =>
      withConnection(options, async (connection) => list(await openSession(context, options, connection))),
  };
}

/** Lists what counts; changes nothing, whatever is found. */
async function list({ paths, reporter, context }: Session): Promise<void> {
  const moment = await readHostMoment(context.clock.now());
  const { leases, damaged } = await readLeases(paths.leases);
  for (const { path, error } of damaged) {
    reporter.warning(`${error.message}; it counts as a lease`, `if no command needs it, remove '${path}'`);
  }
  const listed = [];
  for (const lease of leases) {
    if ((await stateOfLease(lease, moment)) !== 'live') continue;
    listed.push({ lease, isProcessGone: lease.host === moment.host && (await processState(lease)) === 'gone' });
  }
  showLeases(listed, reporter);
}

function releaseCommand(context: CommandContext): CommandModule<object, ReleaseArguments> {
  return {
    command: 'release <id>',
    describe: 'end a lease, whatever runs under it',
    builder: (yargs) =>
      poolOptions(yargs).positional('id', {
        type: 'string',
        demandOption: true,
        describe: 'as in lease list',
      }) as Argv<ReleaseArguments>,
    handler: (options) =>
      withConnection(options, async (connection) => {
        await release(await openSession(context, options, connection), options.id);
      }),
  };
}

async function release({ paths, pool, reporter }: Session, id: string): Promise<void> {
  const { leases } = await readLeases(paths.leases);
  const lease = leases.find((each) => each.id === id);
  if (lease === undefined) {
    throw new NoMatchError(`there is no lease '${id}' in storage pool '${pool.name}'`, {
      hint: `'poolkeeper lease list' shows those that there are`,
    });
  }
  await removeLease(paths.leases, id);
  reporter.event('info', `released lease ${id}`, 'lease_released', { id, volume: lease.volumeName });
}
