import { TrustError } from '../errors.ts';
import { type Keyring, openKeyring, PINNED_KEYS } from '../simplestreams/keyring.ts';
import { readFileBounded } from '../state/atomic-file.ts';
import { assertPrivateFile } from '../state/private-dir.ts';
import type { ChosenSource } from './choose-sources.ts';
import type { SourceReader } from './source-reader.ts';
import { keyringPathOf } from './places.ts';
import { rejectKeyring } from './session.ts';

/** A keyring that was not looked into yet. */
export interface KeyringFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** As in `Keyring`. */
  readonly pinned: readonly string[];
}

/** Where Debian and Ubuntu install the keys of Ubuntu's images. */
export const UBUNTU_KEYRING = '/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg';
const MAX_KEYRING_BYTES = 16 * 1024 * 1024;

/** The keys that were named; else Ubuntu's, whose key is pinned; else the keys that the administrator added. */
export async function findKeyring(
  { keys }: ChosenSource,
  { context, options }: SourceReader,
): Promise<KeyringFile | undefined> {
  const added = keyringPathOf(context, options);
  assertPrivateFile(added, context.uid);
  if (keys === undefined) return (await readIfThere(added)) ?? readIfThere(UBUNTU_KEYRING, [PINNED_KEYS.ubuntu]);
  if ('file' in keys) return named(keys.file);
  const { fingerprint } = keys;
  const isUbuntu = fingerprint === PINNED_KEYS.ubuntu;
  const known = isUbuntu ? await readIfThere(UBUNTU_KEYRING, [fingerprint]) : undefined;
  const found = known ?? (await readIfThere(added, [fingerprint]));
  if (found !== undefined) return found;
  throw new TrustError(`the key ${fingerprint} is not known`, { hint: `add it with 'poolkeeper keyring add'` });
}

async function named(path: string): Promise<KeyringFile> {
  const keyring = await readIfThere(path);
  if (keyring !== undefined) return keyring;
  throw new TrustError(`keyring '${path}' does not exist`, {
    hint: `give an existing file, or add keys with 'poolkeeper keyring add'`,
  });
}

async function readIfThere(path: string, pinned: readonly string[] = []): Promise<KeyringFile | undefined> {
  const file = await readFileBounded(path, MAX_KEYRING_BYTES);
  return file && { path, bytes: file.bytes, pinned };
}

/** Looks into a keyring. @throws TrustError naming the file. */
export function openNamed({ path, bytes, pinned }: KeyringFile): Promise<Keyring> {
  return openKeyring(bytes, { pinned }).catch(rejectKeyring(path));
}
