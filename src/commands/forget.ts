import { userInfo } from 'node:os';
import type { Argv } from 'yargs';
import {
  forgetNames,
  isAwaited,
  listUnanswered,
  rememberName,
  type Unanswered,
  type UnansweredList,
} from '../app/forget.ts';
import { absenceKey, absentText, parseAbsentName } from '../core/absent-name.ts';
import type { AbsentName } from '../core/reference.ts';
import { EXIT, FailureError, IncompleteViewError, NoMatchError, UsageError } from '../errors.ts';
import { type GatheredGraph, gatherUseGraph } from '../gather/use-graph.ts';
import { createQemuImgInfo } from '../image-format/qemu-img.ts';
import type { Connection } from '../libvirt/connection.ts';
import { showForgotten, showUnanswered } from '../report/forget-report.ts';
import { confirm } from '../report/prompt.ts';
import type { Reporter } from '../report/reporter.ts';
import { writeRunNote } from '../state/run-notes.ts';
import { leadsTo } from '../usage/leads-to.ts';
import { readMountFacts } from '../usage/mount-facts.ts';
import type { CommandContext } from './context.ts';
import { changeOptions, type CommonArguments, type Verb } from './options.ts';
import { stateDirOf } from './places.ts';
import { claimsOf, reporterOf, withConnection } from './session.ts';

interface ForgetArguments extends CommonArguments {
  readonly names: readonly string[] | undefined;
  readonly missing: boolean;
  readonly shown: string | undefined;
  readonly undo: boolean;
  readonly reason: string | undefined;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/** Long enough for a sentence, short enough for a line. */
const MAX_REASON = 200;

/** `forget NAME…|--missing`: answers what nobody but an administrator can know. */
export function forgetCommand(context: CommandContext): Verb<ForgetArguments> {
  return {
    builder: (yargs) => forgetOptions(yargs) as unknown as Argv<ForgetArguments>,
    handler: (options) => forget(context, options),
  };
}

function forgetOptions<T>(yargs: Argv<T>) {
  const text = { type: 'string', requiresArg: true } as const;
  return changeOptions(yargs)
    .positional('names', {
      type: 'string',
      array: true,
      describe: 'an absolute path, POOL/VOLUME, or PROTOCOL:NAME, as doctor and sync show it',
    })
    .option('missing', { type: 'boolean', default: false, describe: 'all that lead to nothing, as one list' })
    .option('shown', { ...text, describe: 'with --missing: only if the list is still the one of this number' })
    .option('undo', { type: 'boolean', default: false, describe: 'take back what was said of these names' })
    .option('reason', { ...text, describe: 'why, for those who ask later' });
}

async function forget(context: CommandContext, options: ForgetArguments): Promise<void> {
  const names = wantedNames(options);
  const reporter = reporterOf(context, options);
  const startedAt = context.clock.now();
  await withConnection(options, async (connection) => {
    const place = {
      stateDir: stateDirOf(context, options),
      uri: connection.uri,
      uid: context.uid,
      signal: context.signal,
    };
    if (options.undo) {
      for (const name of names) {
        if (!(await rememberName(place, name)))
          throw new NoMatchError(`nothing was said of '${absentText(name)}'`, {
            hint: `'poolkeeper doctor' lists what was`,
          });
        reporter.event('change', `'${absentText(name)}' is waited for again`, 'remembered', {
          name: absentText(name),
          is_back: false,
        });
      }
      return;
    }
    const look = async (): Promise<Sight> => see(context, options, { connection, reporter });
    const sight = await look();
    const chosen = options.missing
      ? await chooseAll(sight, look, { context, options, reporter })
      : await choose(names, sight, { context, options, reporter });
    if (options.dryRun || chosen.length === 0) return;
    const since = context.clock.now();
    const by = userName(context);
    await forgetNames(
      place,
      chosen.map(({ name }) => ({ name, since, by, reason: options.reason })),
    );
    for (const each of chosen) showForgotten(each, options.reason, reporter);
    const run = { command: 'forget', pool: ANY_POOL, startedAt, exitStatus: EXIT.done, failures: {} };
    await writeRunNote(place.stateDir, { ...run, endedAt: since, succeededAt: since }, context.uid);
  });
}

/** The user who runs the command; behind sudo, the one who called sudo. */
function userName({ env, uid }: CommandContext): string {
  try {
    return env['SUDO_USER'] ?? userInfo().username;
  } catch {
    // A user whom no account database knows.
    return `user ${uid}`;
  }
}

/** Names that lead to nothing concern all pools of a host. */
const ANY_POOL = '*';

/** @throws UsageError when the words do not make sense together. */
function wantedNames({ names = [], missing, shown, undo, reason, dryRun }: ForgetArguments): readonly AbsentName[] {
  if (missing === names.length > 0 || (missing && undo))
    throw new UsageError('name what is gone, or all of it with --missing', {
      hint: `'poolkeeper forget --missing --dry-run' lists what leads to nothing`,
    });
  if (shown !== undefined && !missing) throw new UsageError('--shown goes with --missing');
  if (undo && dryRun) throw new UsageError('--undo has no dry run');
  if (reason !== undefined && (reason.length > MAX_REASON || /\p{Cc}/u.test(reason)))
    throw new UsageError(`--reason must be one line of at most ${MAX_REASON} characters`);
  return names.map((text) => {
    const name = parseAbsentName(text);
    if (name !== undefined) return name;
    throw new UsageError(`'${text}' is neither an absolute path nor POOL/VOLUME nor PROTOCOL:NAME`);
  });
}

/** What was seen at one moment. */
interface Sight {
  readonly gathered: GatheredGraph;
  readonly list: UnansweredList;
}

/** With what it is asked and told. */
interface Talk {
  readonly context: CommandContext;
  readonly options: ForgetArguments;
  readonly reporter: Reporter;
}

async function see(
  context: CommandContext,
  options: ForgetArguments,
  { connection, reporter }: { readonly connection: Connection; readonly reporter: Reporter },
): Promise<Sight> {
  const gathered = await gatherUseGraph({
    connection,
    qemuImg: createQemuImgInfo(),
    ownPid: context.pid,
    readClaims: claimsOf(context, options),
    progress: reporter.progress,
  });
  const { graph, pools } = gathered;
  return { gathered, list: listUnanswered(graph.absences ?? [], pools, readMountFacts()) };
}

/** The names that were typed, each of which has to wait for an answer. */
async function choose(
  names: readonly AbsentName[],
  { gathered, list }: Sight,
  talk: Talk,
): Promise<readonly Unanswered[]> {
  const byKey = new Map(list.all.map((each) => [absenceKey(each.name), each]));
  const chosen: Unanswered[] = [];
  for (const name of names) {
    const end: AbsentName = name.kind === 'path' ? { kind: 'path', path: leadsTo(name.path) } : name;
    const found = byKey.get(absenceKey(name)) ?? byKey.get(absenceKey(end));
    const known = gathered.graph.absences?.find((each) =>
      [name, end].some((any) => absenceKey(any) === absenceKey(each.name)),
    );
    if (found !== undefined) chosen.push(found);
    else if (known?.verdict === 'gone')
      talk.reporter.event('info', `'${absentText(name)}' was forgotten before`, 'forgotten_before', {
        name: absentText(name),
      });
    else
      throw new NoMatchError(
        known === undefined
          ? `'${absentText(name)}' is no name that leads to nothing`
          : `'${absentText(name)}' holds nothing back: no other image can stand behind it`,
        { hint: `'poolkeeper forget --missing --dry-run' lists what waits for an answer` },
      );
  }
  if (chosen.length > 0 && (talk.options.dryRun || chosen.some(isAwaited)))
    showUnanswered({ ...list, all: chosen }, talk.reporter);
  if (!talk.options.dryRun && chosen.some(isAwaited))
    await assertConfirmed('Something is to be mounted there. Is it gone all the same', talk);
  return chosen;
}

/** The whole list, as it was shown: if it is another by the time that it is confirmed, nothing is taken. */
async function chooseAll({ list }: Sight, look: () => Promise<Sight>, talk: Talk): Promise<readonly Unanswered[]> {
  const { options, reporter } = talk;
  if (list.all.length === 0) {
    reporter.event('info', 'every name leads to something', 'absent_list', { count: 0, digest: list.digest });
    return [];
  }
  assertShown(options.shown, list);
  showUnanswered(list, reporter);
  const taken = list.all.filter((each) => !isAwaited(each));
  if (options.dryRun || taken.length === 0) return [];
  if (options.yes) return taken;
  await assertConfirmed(`Are these ${taken.length} gone for good`, talk);
  assertShown(list.digest, (await look()).list);
  return taken;
}

function assertShown(digest: string | undefined, list: UnansweredList): void {
  if (digest === undefined || digest === list.digest) return;
  throw new IncompleteViewError(`nothing was forgotten: the list is not ${digest} any more, but ${list.digest}`, {
    hint: `look at it again: 'poolkeeper forget --missing --dry-run'`,
  });
}

async function assertConfirmed(question: string, { context, options }: Talk): Promise<void> {
  if (options.yes) return;
  if (!context.isInteractive)
    throw new FailureError('cannot ask whether these are gone for good', {
      hint: 'look at them with --dry-run; without a terminal, confirm with --yes',
    });
  if (!(await confirm(question, context, context.signal))) throw new FailureError('nothing was forgotten');
}
