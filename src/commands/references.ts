import { createReadStream } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import type { Argv } from 'yargs';
import { FailureError, IntegrityError, PartialError, PoolkeeperError } from '../errors.ts';
import { type DocumentReferences, readReferences } from '../libvirt/xml/references.ts';
import { showReferences } from '../report/references-report.ts';
import { createReporter } from '../report/reporter.ts';
import { type CommandContext, STANDARD_INPUT } from './context.ts';
import type { CommonArguments, Verb } from './options.ts';

interface ReferencesArguments extends CommonArguments {
  readonly files: readonly string[];
}

/** More than any document has that libvirt hands out (VIR_NET_MESSAGE_MAX is 32 MiB). */
const MAX_BYTES = 64 * 1024 * 1024;

/** `references FILE…`: prints what poolkeeper sees in documents of libvirt. Needs neither libvirt nor state. */
export function referencesCommand(context: CommandContext): Verb<ReferencesArguments> {
  return {
    builder: (yargs) => referencesOptions(yargs) as Argv<ReferencesArguments>,
    handler: (options) => showAll(options, context),
  };
}

function referencesOptions(yargs: Argv): Argv {
  return yargs.positional('files', {
    type: 'string',
    array: true,
    demandOption: true,
    describe: 'XML of a domain, snapshot, checkpoint, backup, volume or pool; - is standard input',
  });
}

/** Shows what can be read, whatever else cannot: @throws PartialError after all others were shown. */
async function showAll(options: ReferencesArguments, context: CommandContext): Promise<void> {
  const { stdout, signal } = context;
  const { files } = options;
  const reporter = createReporter({ ...context, ...options });
  let failed = 0;
  for (const file of files) {
    const name = file === STANDARD_INPUT ? '-' : file;
    try {
      showReferences(name, readDocument(name, await readText(file, context)), stdout);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof PoolkeeperError)) throw error;
      reporter.error(error);
      failed += 1;
    }
  }
  if (failed > 0) throw new PartialError(`${failed} of ${files.length} document(s) could not be read`);
}

function readDocument(file: string, xml: string): DocumentReferences {
  try {
    return readReferences(xml);
  } catch (cause) {
    if (!(cause instanceof PoolkeeperError)) throw cause;
    throw new IntegrityError(`cannot tell what '${file}' refers to`, {
      cause,
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    });
  }
}

/** Bytes that are not UTF-8 become U+FFFD, as everywhere in poolkeeper. */
async function readText(file: string, { stdin, signal }: CommandContext): Promise<string> {
  const stream = file === STANDARD_INPUT ? stdin : createReadStream(file);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of addAbortSignal(signal, stream)) {
      const part = Buffer.from(chunk);
      bytes += part.length;
      if (bytes > MAX_BYTES) break;
      chunks.push(part);
    }
  } catch (cause) {
    throw new FailureError(`cannot read '${file}'`, { cause, hint: 'check that it exists and that you may read it' });
  }
  if (bytes > MAX_BYTES) throw new IntegrityError(`cannot read '${file}': it is larger than ${MAX_BYTES} bytes`);
  return Buffer.concat(chunks)
    .toString()
    .replace(/^\uFEFF/, '');
}
