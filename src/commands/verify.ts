import type { Argv } from 'yargs';
import { inParallel } from '../core/in-parallel.ts';
import { usersOf } from '../core/usage.ts';
import { planVerification } from '../core/verify-plan.ts';
import { PartialError } from '../errors.ts';
import { verifyImage } from '../execute/verify-image.ts';
import { seePool } from '../gather/judge-pool.ts';
import { findSeen } from '../gather/pool-nodes.ts';
import { contentStamp, isBeingWritten } from '../gather/volume-file.ts';
import { lookupVolume } from '../libvirt/volume.ts';
import { changedImages, showChanged, showVerified, type VerifyOutcome } from '../report/verify-report.ts';
import { ensurePoolStateDirs } from '../state/paths.ts';
import type { CommandContext } from './context.ts';
import { findImages, type FoundImage, readImages } from './find-image.ts';
import { type PoolArguments, poolOptions, type Verb } from './options.ts';
import { permit } from './permit.ts';
import { openSession, type Session, withConnection } from './session.ts';

interface VerifyArguments extends PoolArguments {
  readonly image: readonly string[] | undefined;
  readonly all: boolean;
}

/** How many images are read at the same time; each reader has a connection of its own. */
const READERS = 3;

/** `verify [IMAGE…]`: reads images and compares them with what they were. */
export function verifyCommand(context: CommandContext): Verb<VerifyArguments> {
  return {
    builder: (yargs) => verifyOptions(yargs) as unknown as Argv<VerifyArguments>,
    handler: (options) =>
      withConnection(
        options,
        async (connection) => verify(await openSession(context, options, connection), options),
        READERS + 1,
      ),
  };
}

function verifyOptions<T>(yargs: Argv<T>) {
  return poolOptions(yargs)
    .positional('image', {
      type: 'string',
      array: true,
      describe: 'VOLUME, PRODUCT VERSION, or filters that match one image; default: all that are offered',
    })
    .option('all', { type: 'boolean', default: false, describe: 'also images that are not offered' });
}

/** Nothing is locked: an image that is deleted meanwhile is read to its end all the same. */
async function verify(session: Session, options: VerifyArguments): Promise<void> {
  const { paths, context, reporter } = session;
  await ensurePoolStateDirs(paths, context.uid);
  const outcomes: VerifyOutcome[] = [];
  await inParallel(await chooseImages(session, options), READERS, async (image) => {
    context.signal.throwIfAborted();
    const outcome = await verifyOne(session, image);
    outcomes.push(outcome);
    showVerified(outcome, reporter);
  });
  const changed = outcomes.filter((outcome) => outcome.result === 'changed');
  if (changed.length > 0) {
    await tellUsers(session, changed);
    throw changedImages(changed.length);
  }
  const unverified = outcomes.filter(({ result }) => result === 'unverifiable').length;
  if (unverified > 0) throw new PartialError(`${unverified} of ${outcomes.length} image(s) could not be verified`);
}

async function chooseImages(
  session: Session,
  { image: words = [], all }: VerifyArguments,
): Promise<readonly FoundImage[]> {
  const images = await readImages(session);
  if (words.length === 0) return images.filter((image) => (all ? isComplete(image) : image.isOffered));
  const chosen = findImages(words, images);
  for (const image of chosen) permit('verify', image);
  return chosen;
}

function isComplete({ hasVolume, status }: FoundImage): boolean {
  return hasVolume && (status === 'active' || status === 'deactivated' || status === 'pending_delete');
}

async function verifyOne(session: Session, { volumeName, identity, record }: FoundImage): Promise<VerifyOutcome> {
  const step = planVerification(record);
  if (step.action === 'skip') return { result: 'skipped', identity, volumeName, reason: step.reason };
  if (step.action === 'give up') return { result: 'unverifiable', identity, volumeName, reason: step.reason };
  const { connection, pool, paths, context, reporter } = session;
  const volume = await lookupVolume(connection, pool.name, volumeName);
  const written = { result: 'unverifiable', identity, volumeName, reason: 'somebody is writing to it' } as const;
  if (isBeingWritten(volume)) return written;
  const { digest } = step;
  const { progress } = reporter;
  const { hex } = await verifyImage({ volume, identity, digest }, { ...context, connection, paths, progress });
  if (hex === digest.hex) return { result: 'intact', identity, volumeName, digest };
  const after = await lookupVolume(connection, pool.name, volumeName);
  if (contentStamp(after) !== contentStamp(volume) || isBeingWritten(after)) return written;
  return { result: 'changed', identity, volumeName, digest, found: hex };
}

/** Names everybody whose disk is not what it should be. */
async function tellUsers(
  session: Session,
  changed: readonly (VerifyOutcome & { readonly result: 'changed' })[],
): Promise<void> {
  const { gathered } = await seePool(session);
  const users = usersOf(gathered.graph);
  for (const outcome of changed) {
    const id = findSeen(gathered.volumes, session.pool.name, outcome.volumeName)?.node.id;
    showChanged(outcome, users.get(id ?? '') ?? [], session.reporter);
  }
}
