import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { FailureError, SourceError, TrustError, UsageError } from '../errors.ts';
import type { Reporter } from '../report/reporter.ts';
import { extractKey, type KeySummary, listKeys, PINNED_KEYS } from '../simplestreams/keyring.ts';
import { readFileBounded, writeFileAtomic } from '../state/atomic-file.ts';
import { assertPrivateFile, ensurePrivateDir } from '../state/private-dir.ts';
import type { CommandContext } from './context.ts';
import { keyringPathOf } from './places.ts';
import { fetcherOf, rejectKeyring, reporterOf } from './session.ts';
import type { CommonArguments, Verb } from './options.ts';

interface AddArguments extends CommonArguments {
  readonly source: string;
  readonly fingerprint: string | undefined;
  readonly name: keyof typeof PINNED_KEYS | undefined;
}

const MAX_KEY_BYTES = 1024 * 1024;

/** `keyring add|list`: the keys that may sign what sources publish. */
export function keyringCommand(context: CommandContext): Verb<object> {
  return {
    builder: (yargs) =>
      yargs
        .command(addCommand(context))
        .command(listCommand(context))
        .demandCommand(1, 'name a keyring command: add or list'),
    handler: () => undefined,
  };
}

function addCommand(context: CommandContext): CommandModule<object, AddArguments> {
  return {
    command: 'add <source>',
    describe: 'add a key from a file or an https address, if its fingerprint is the expected one',
    builder: (yargs) =>
      yargs
        .positional('source', { type: 'string', demandOption: true, describe: 'file or https address of the key' })
        .option('fingerprint', {
          type: 'string',
          requiresArg: true,
          describe: 'the fingerprint that the key must have',
        })
        .option('name', {
          choices: Object.keys(PINNED_KEYS),
          requiresArg: true,
          describe: 'a publisher whose fingerprint is known',
        })
        .conflicts('fingerprint', 'name') as Argv<AddArguments>,
    handler: (options) => addKey(context, options),
  };
}

function listCommand(context: CommandContext): CommandModule<object, CommonArguments> {
  return {
    command: 'list',
    describe: 'list the keys that were added',
    handler: async (options) => {
      const bytes = await readKeyring(keyringPathOf(context, options));
      if (bytes === undefined) return;
      const reporter = reporterOf(context, options);
      for (const key of await listKeys(bytes)) showKey(key, reporter);
    },
  };
}

/** Adds one key, and only the one with the expected fingerprint, to poolkeeper's own keyring. */
async function addKey(context: CommandContext, options: AddArguments): Promise<void> {
  const expected = expectedFingerprints(options);
  const bytes = await readKeySource(options.source, context);
  const keys = await listKeys(bytes).catch(rejectKeyring(options.source));
  const found = keys.find(({ fingerprint }) => expected.includes(fingerprint));
  if (found === undefined) {
    const fingerprints = keys.map(({ fingerprint }) => fingerprint);
    throw new TrustError(`'${options.source}' does not hold the key ${expected.join(' or ')}`, {
      hint: `it holds ${fingerprints.join(', ')}; if the publisher confirms one of them, give it with --fingerprint`,
    });
  }
  const path = keyringPathOf(context, options);
  assertPrivateFile(path, context.uid);
  const present = await readKeyring(path);
  const isPresent =
    present !== undefined && (await listKeys(present)).some(({ fingerprint }) => fingerprint === found.fingerprint);
  if (!isPresent) {
    await ensurePrivateDir(dirname(path), { uid: context.uid });
    const text = `${present === undefined ? '' : Buffer.from(present).toString()}${await extractKey(bytes, found.fingerprint)}`;
    await writeFileAtomic(path, Buffer.from(text), { mode: 0o644 });
  }
  showKey(found, reporterOf(context, options));
}

function expectedFingerprints({ fingerprint, name }: AddArguments): readonly string[] {
  if (name !== undefined) return [PINNED_KEYS[name]];
  if (fingerprint === undefined) return Object.values(PINNED_KEYS);
  const hex = fingerprint.replaceAll(/[\s:]/g, '').replace(/^0x/i, '').toUpperCase();
  if (!/^([0-9A-F]{40}|[0-9A-F]{64})$/.test(hex)) {
    throw new UsageError(`'${fingerprint}' is not a whole fingerprint`, { hint: 'it has 40 or 64 hexadecimal digits' });
  }
  return [hex];
}

async function readKeySource(source: string, context: CommandContext): Promise<Uint8Array> {
  if (/^https:\/\//i.test(source)) return fetchKey(new URL(source), context);
  if (/^[a-z]+:\/\//i.test(source))
    throw new UsageError(`'${source}' is not an https address`, {
      hint: 'keys are fetched through https, or read from a file',
    });
  try {
    return await readFile(source);
  } catch (cause) {
    throw new FailureError(`cannot read key file '${source}'`, {
      cause,
      hint: 'check that it exists and that you may read it',
    });
  }
}

async function fetchKey(url: URL, context: CommandContext): Promise<Uint8Array> {
  const fetcher = fetcherOf(context);
  try {
    const response = await fetcher.fetch(url, { signal: context.signal });
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response.body) {
      bytes += chunk.length;
      if (bytes > MAX_KEY_BYTES) throw new SourceError(`${url.href} is too large to be a key`, { url: url.href });
      chunks.push(chunk);
    }
    if (response.status === 200) return Buffer.concat(chunks);
    throw new SourceError(`cannot fetch ${url.href}: the server answered ${response.status}`, {
      url: url.href,
      httpStatus: response.status,
    });
  } finally {
    await fetcher.close();
  }
}

async function readKeyring(path: string): Promise<Uint8Array | undefined> {
  return (await readFileBounded(path, MAX_KEY_BYTES))?.bytes;
}

function showKey(key: KeySummary, reporter: Reporter): void {
  const expiry =
    key.expiresAtMs === undefined ? 'never expires' : `expires ${new Date(key.expiresAtMs).toISOString().slice(0, 10)}`;
  const state = key.isRevoked ? 'revoked' : expiry;
  const fields = {
    fingerprint: key.fingerprint,
    user_ids: key.userIds,
    expires_at_ms: key.expiresAtMs,
    is_revoked: key.isRevoked,
  };
  reporter.data(`${key.fingerprint}  ${key.userIds.join(', ')}  ${state}`, 'key', fields);
}
