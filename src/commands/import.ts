import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Argv } from 'yargs';
import { parseDigest } from '../core/digest.ts';
import { formatBytes } from '../core/byte-size.ts';
import { encodeVolumeName, identityText } from '../core/identity.ts';
import { stagingIdentity } from '../core/local-image.ts';
import type { Digest } from '../core/record.ts';
import { UsageError } from '../errors.ts';
import { importImage, type ImportedImage } from '../execute/import-image.ts';
import { runWatchedTask } from '../execute/watched-task.ts';
import { poolSpace, refreshPool } from '../libvirt/storage-pool.ts';
import type { Fetcher } from '../core/ports.ts';
import { type ImageSource, openFileSource, openRemoteSource, standardInputSource } from '../transfer/image-source.ts';
import { type CommandContext, STANDARD_INPUT } from './context.ts';
import { checkNewImage, type NewImageArguments, newImageOptions, planNewImage } from './new-image.ts';
import type { Verb } from './options.ts';
import { assertUnusedIn, repairState } from './repair-state.ts';
import { type LockedSession, withLock, withSession } from './session.ts';
import { type Patience, patience, type PatienceArguments, patienceOptions } from './transfer-options.ts';

interface ImportArguments extends NewImageArguments, PatienceArguments {
  readonly file: string;
  readonly digest: string | undefined;
}

/** `import FILE|URL|-`: brings an image of the administrator's own into the pool. */
export function importCommand(context: CommandContext): Verb<ImportArguments> {
  return {
    builder: (yargs) => importOptions(yargs) as unknown as Argv<ImportArguments>,
    handler: (options) => runImport(context, options),
  };
}

function importOptions(yargs: Argv) {
  return patienceOptions(newImageOptions(yargs, 'os'))
    .usage('$0 import FILE|URL|- --name NAME')
    .positional('file', {
      type: 'string',
      demandOption: true,
      describe: 'a file, an http(s) address, or - for standard input',
    })
    .option('digest', {
      type: 'string',
      requiresArg: true,
      describe: 'what the file must be: sha256:HEX or sha512:HEX',
    });
}

async function runImport(context: CommandContext, options: ImportArguments): Promise<void> {
  checkNewImage(options);
  const policy = patience(options);
  const digest = options.digest === undefined ? undefined : parseDigest(options.digest);
  await withSession(
    context,
    options,
    async (session, fetcher) => {
      const source = await openSource({ options, digest, policy, fetcher }, context);
      try {
        await withLock(session, { command: 'import', fetcher }, (locked) =>
          bringIn(locked, { options, digest, policy, source }),
        );
      } finally {
        await source.close();
      }
    },
    policy,
  );
}

interface ImportRequest {
  readonly options: ImportArguments;
  readonly digest: Digest | undefined;
  readonly policy: Patience;
}

/** Before anything is done, so that a mistyped name changes nothing. */
function openSource(
  { options, digest, policy, fetcher }: ImportRequest & { readonly fetcher: Fetcher },
  { cwd, signal, stdin, isInteractive }: CommandContext,
): Promise<ImageSource> {
  const { file } = options;
  if (file === STANDARD_INPUT) {
    if (isInteractive) throw new UsageError('standard input is a terminal', { hint: 'pipe an image into the command' });
    return Promise.resolve(standardInputSource(stdin, signal));
  }
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(file)) return openFileSource(resolve(cwd, file), signal);
  if (!URL.canParse(file)) throw new UsageError(`'${file}' is not an address`);
  const url = new URL(file);
  if (url.protocol === 'file:') return openFileSource(fileURLToPath(url), signal);
  return openRemoteSource({ url, fetcher, signal, retries: policy.retries, hasDigest: digest !== undefined });
}

async function bringIn(
  session: LockedSession,
  { options, digest, policy, source }: ImportRequest & { readonly source: ImageSource },
): Promise<void> {
  const { connection, pool, environment } = session;
  await refreshPool(connection, pool.name);
  await repairState(session);
  const image = await planNewImage(session, options);
  const { availableBytes } = await poolSpace(connection, pool.name);
  const roomBytes = availableBytes > policy.reserveBytes ? availableBytes - policy.reserveBytes : 0n;
  const { identity, volumeName } = image;
  const stagingName = encodeVolumeName(stagingIdentity(identity), pool.type);
  const task = { kind: 'import', volumeName, identity, totalBytes: source.sizeBytes } as const;
  const job = { ...image, stagingName, source, digest, roomBytes };
  const imported = await runWatchedTask(environment, `import ${image.name}`, task, (onProgress) =>
    importImage({ ...job, onProgress, assertUnused: assertUnusedIn(session) }, environment),
  );
  report(session, imported);
}

function report({ reporter }: LockedSession, { found, stored, arrived, record }: ImportedImage): void {
  const { identity, volumeName } = record;
  const how = found === stored ? stored : `${found}, converted to ${stored}`;
  const { digest, sizeBytes = 0n } = record.provenance;
  const text = `imported image ${identityText(identity)} (${formatBytes(sizeBytes)}, ${how})`;
  reporter.event('change', text, 'imported', {
    ...identity,
    volume: volumeName,
    format: stored,
    delivered_format: found,
    size_bytes: sizeBytes,
    ...(digest !== undefined && { [digest.algorithm]: digest.hex }),
    delivered_bytes: arrived.sizeBytes,
    [`delivered_${arrived.digest.algorithm}`]: arrived.digest.hex,
  });
}
