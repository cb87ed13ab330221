import type { Argv } from 'yargs';
import { formatBytes, parseBytes } from '../core/byte-size.ts';
import { identityText } from '../core/identity.ts';
import type { StoredFormat } from '../core/import-form.ts';
import { UsageError } from '../errors.ts';
import { createImage } from '../execute/create-image.ts';
import type { CommandContext } from './context.ts';
import { withImages } from './image-command.ts';
import { checkNewImage, type NewImageArguments, newImageOptions, planNewImage } from './new-image.ts';
import type { Verb } from './options.ts';
import { assertUnusedIn } from './repair-state.ts';
import type { LockedSession } from './session.ts';

interface CreateArguments extends NewImageArguments {
  readonly size: string;
  readonly format: string;
}

const FORMATS: readonly StoredFormat[] = ['qcow2', 'raw'];

/** More than any file system holds, and more than QEMU takes. */
const MOST_BYTES = 64n << 40n;

/** `create --name NAME --size SIZE`: makes an empty image. */
export function createCommand(context: CommandContext): Verb<CreateArguments> {
  return {
    builder: (yargs) => createOptions(yargs) as unknown as Argv<CreateArguments>,
    handler: (options) => runCreate(context, options),
  };
}

function createOptions(yargs: Argv) {
  return newImageOptions(yargs, 'datablock')
    .usage('$0 create --name NAME --size SIZE')
    .option('size', {
      type: 'string',
      requiresArg: true,
      demandOption: true,
      describe: 'virtual size, such as 10G',
    })
    .option('format', {
      type: 'string',
      requiresArg: true,
      choices: FORMATS,
      default: 'qcow2',
      describe: 'how it is kept',
    });
}

async function runCreate(context: CommandContext, options: CreateArguments): Promise<void> {
  checkNewImage(options);
  const capacityBytes = parseBytes(options.size, '--size');
  if (capacityBytes === 0n || capacityBytes > MOST_BYTES)
    throw new UsageError(`--size must be from 1 to ${MOST_BYTES} bytes`);
  await withImages(context, options, 'create', (session) => create(session, options, capacityBytes));
}

async function create(session: LockedSession, options: CreateArguments, capacityBytes: bigint): Promise<void> {
  const { environment, reporter } = session;
  const image = await planNewImage(session, options);
  const format = FORMATS.find((known) => known === options.format) ?? 'qcow2';
  const job = { ...image, format, capacityBytes, assertUnused: assertUnusedIn(session) };
  const { identity, volumeName } = await createImage(job, environment);
  const text = `created image ${identityText(identity)} (${formatBytes(capacityBytes)}, ${format})`;
  const fields = { ...identity, volume: volumeName, format, capacity_bytes: capacityBytes };
  reporter.event('change', text, 'created', fields);
}
