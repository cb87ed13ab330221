import { existsSync } from 'node:fs';
import type { Argv } from 'yargs';
import { effectiveSettings, SETTINGS } from '../config/settings.ts';
import { parseBytes } from '../core/byte-size.ts';
import { type CheckedFinding, type Finding, ok, problem, warning } from '../core/finding.ts';
import { LibvirtError, PartialError, UsageError } from '../errors.ts';
import { type Check, type PoolPatient, runChecks } from '../gather/health.ts';
import { checkForgotten, checkLimits } from '../gather/health-absence.ts';
import { checkImageAccess } from '../gather/health-access.ts';
import { checkImages, checkOverlays, checkView } from '../gather/health-images.ts';
import {
  checkDeletion,
  checkDirectories,
  checkLocality,
  checkMetadataPlace,
  checkPlace,
  checkReadable,
  checkSpace,
  checkTrash,
} from '../gather/health-places.ts';
import { checkClock, checkJournal, checkLastSync, checkLeases, checkLock } from '../gather/health-state.ts';
import { checkKeyring } from '../gather/health-trust.ts';
import { seePool } from '../gather/judge-pool.ts';
import type { Connection } from '../libvirt/connection.ts';
import { showFindings } from '../report/doctor-report.ts';
import type { Reporter } from '../report/reporter.ts';
import { configure } from './configuration.ts';
import type { CommandContext } from './context.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { UBUNTU_KEYRING } from './source-keyring.ts';
import { cacheDirOf, keyringPathOf, stateDirOf } from './places.ts';
import { openSession, ownDirectories, reporterOf, withConnection } from './session.ts';

interface DoctorArguments extends PoolArguments {
  readonly network: boolean;
  readonly reserve?: string;
}

/** What is looked at once libvirt shows the pool, in the order in which it is shown. */
const POOL_CHECKS: readonly Check<PoolPatient>[] = [
  ['metadata', checkMetadataPlace],
  ['access', checkReadable],
  ['access', checkImageAccess],
  ['directories', checkDirectories],
  ['files', checkLocality],
  ['deletion', checkDeletion],
  ['space', checkSpace],
  ['trash', checkTrash],
  ['lock', checkLock],
  ['journal', checkJournal],
  ['leases', checkLeases],
  ['clock', checkClock],
  ['images', checkImages],
  ['overlays', checkOverlays],
  ['view', checkView],
  ['forgotten', checkForgotten],
  ['limits', checkLimits],
  ['sync', checkLastSync],
];

/** `doctor`: looks for whatever keeps poolkeeper from its work, and says what mends it. */
export function doctorCommand(context: CommandContext): Verb<DoctorArguments> {
  return {
    builder: (yargs) => doctorOptions(yargs) as Argv<DoctorArguments>,
    handler: (options) => doctor(context, options),
  };
}

function doctorOptions(yargs: Argv): Argv {
  return poolOptions(yargs).option('network', {
    type: 'boolean',
    default: false,
    describe: 'also try to reach the sources',
  });
}

/** @throws PartialError when there is a problem. */
async function doctor(context: CommandContext, options: DoctorArguments): Promise<void> {
  const configured = await checkConfiguration(context, options);
  const reporter = reporterOf(context, options);
  const findings = [
    configured,
    ...(await runChecks(hostChecks(context, options), undefined)),
    ...(await examinePool(context, options, reporter)),
    ...(options.network ? await examineSources(context, options) : []),
  ];
  showFindings(findings, options.quiet, reporter);
  const problems = findings.filter(({ level }) => level === 'problem').length;
  if (problems > 0) throw new PartialError(`${problems} problem${problems === 1 ? '' : 's'} found`);
}

/** A mistake in the configuration is a finding as well; everything else is then looked at as if there were none. */
async function checkConfiguration(context: CommandContext, options: DoctorArguments): Promise<CheckedFinding> {
  const values: Record<string, unknown> = options as unknown as Record<string, unknown>;
  const found = await configure(values, context).then(
    () =>
      ok(
        options.configuration === undefined
          ? 'there is no configuration file'
          : `${options.configuration.file} is sound`,
      ),
    (error: unknown): Finding => {
      if (!(error instanceof UsageError)) throw error;
      settle(values, context);
      return problem(error.message, error.hint ?? `'poolkeeper config check' lists all mistakes`);
    },
  );
  return { check: 'config', ...found };
}

/** Takes what the environment says, if that makes sense, and the defaults. */
function settle(values: Record<string, unknown>, { env }: CommandContext): void {
  const { LIBVIRT_DEFAULT_URI, POOLKEEPER_POOL, POOLKEEPER_STATE_DIR } = env;
  const effective = effectiveSettings(
    values,
    { LIBVIRT_DEFAULT_URI, POOLKEEPER_POOL, POOLKEEPER_STATE_DIR },
    undefined,
  );
  for (const { key, option } of SETTINGS) values[option] ??= effective.get(key)?.value;
}

/** What can be looked at without libvirt. */
function hostChecks(context: CommandContext, options: DoctorArguments): readonly Check<undefined>[] {
  const { uid } = context;
  const now = context.clock.now();
  const keyrings = keyringsOf(context, options).map((path): Check<undefined> => [
    'keyring',
    () => checkKeyring(path, now),
  ]);
  return [
    ['state', () => checkPlace('state directory', stateDirOf(context, options), uid)],
    ['cache', () => checkPlace('cache directory', cacheDirOf(context, options), uid)],
    ...keyrings,
  ];
}

/** Those that sources name, and the one that is taken for the others. */
function keyringsOf(context: CommandContext, options: DoctorArguments): readonly string[] {
  const sources = (options.configuration?.sources ?? []).filter(({ policy }) => policy !== 'none');
  const named = sources.flatMap(({ keyring }) => (keyring?.startsWith('/') === true ? [keyring] : []));
  if (sources.length > 0 && named.length === sources.length) return [...new Set(named)];
  const own = keyringPathOf(context, options);
  return [...new Set([...named, existsSync(own) ? own : UBUNTU_KEYRING])];
}

async function examinePool(
  context: CommandContext,
  options: DoctorArguments,
  reporter: Reporter,
): Promise<readonly CheckedFinding[]> {
  const found: CheckedFinding[] = [];
  try {
    await withConnection(options, async (connection) => {
      found.push({ check: 'libvirt', ...ok(`libvirt answers at ${connection.uri}`) });
      const patient = await admit(context, options, { connection, reporter });
      found.push({ check: 'pool', ...ok(`storage pool '${patient.pool.name}' is active`) });
      found.push(...(await runChecks(POOL_CHECKS, patient)));
    });
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    const check = found.length === 0 ? 'libvirt' : 'pool';
    const skipped = [...new Set(POOL_CHECKS.map(([name]) => name))].join(', ');
    found.push({ check, ...problem(error.message, error.hint) });
    found.push({ check: 'others', ...warning(`could not be looked at without it: ${skipped}`) });
  }
  return found;
}

async function admit(
  context: CommandContext,
  options: DoctorArguments,
  { connection, reporter }: { readonly connection: Connection; readonly reporter: Reporter },
): Promise<PoolPatient> {
  const session = await openSession(context, options, connection, true);
  const { pool, paths } = session;
  return {
    connection,
    pool,
    paths,
    stateDir: stateDirOf(context, options),
    sight: await seePool({ ...session, progress: reporter.progress }),
    uid: context.uid,
    directories: ownDirectories(context, options, paths),
    permissions: options,
    now: context.clock.now(),
    reserveBytes: parseBytes(options.reserve ?? '0', 'reserve'),
  };
}

/** Loaded only on demand: most runs need no network. */
async function examineSources(context: CommandContext, options: DoctorArguments): Promise<readonly CheckedFinding[]> {
  const { sourceChecks } = await import('./doctor-network.ts');
  return sourceChecks(context, options);
}
