import { createHash } from 'node:crypto';

import { TrustError } from '../errors.ts';
import { loadOpenPgp, policyOf, type OpenPgpKey } from './openpgp.ts';

/** The keys that may sign a source's documents. */
export interface Keyring {
  /** Digest of the bytes it was read from, in lower-case hex. */
  readonly sha256: string;
  /** Primary fingerprints of all keys in it, in upper-case hex. */
  readonly fingerprints: readonly string[];
  /** If not empty, only these of its keys are trusted. */
  readonly pinned: readonly string[];
  readonly keys: readonly OpenPgpKey[];
}

/** What a user needs to see of a key before trusting it. */
export interface KeySummary {
  /** Of the primary key, in upper-case hex. */
  readonly fingerprint: string;
  readonly userIds: readonly string[];
  readonly createdAtMs: number;
  /** `undefined`: never. */
  readonly expiresAtMs: number | undefined;
  readonly isRevoked: boolean;
}

/** Fingerprints of publishers' keys, for comparison with a key that came over the network. */
export const PINNED_KEYS = {
  /** Ubuntu Cloud Image Builder, RSA-4096, of 2012: signs the streams of cloud-images.ubuntu.com. */
  ubuntu: '4A3CE3CD565D7EB5C810E2B97FF3F408476CF100',
} as const;

const BEGIN = '-----BEGIN PGP PUBLIC KEY BLOCK-----';
const END = '-----END PGP PUBLIC KEY BLOCK-----';
const KEYBOX_MAGIC = 'KBXf';

/**
 * Reads a keyring, binary or armored; several keys, and several armored blocks one after the other, are all used.
 *
 * @throws TrustError when a key cannot be read, when there is none, or when none of the pinned ones is there.
 */
export async function openKeyring(
  bytes: Uint8Array,
  { pinned = [] }: { pinned?: readonly string[] } = {},
): Promise<Keyring> {
  const keys = await readPublicKeys(bytes);
  const fingerprints = keys.map(fingerprintOf);
  const pins = pinned.map((fingerprint) => fingerprint.replaceAll(/\s/g, '').toUpperCase());
  if (pins.length > 0 && !pins.some((pin) => fingerprints.includes(pin))) {
    throw new TrustError(`the keyring does not hold the pinned key ${pins.join(' or ')}`, {
      hint: `it holds ${fingerprints.join(', ')}`,
    });
  }
  return { sha256: createHash('sha256').update(bytes).digest('hex'), fingerprints, pinned: pins, keys };
}

/** Describes every key in a file, so that a user can compare fingerprints; throws TrustError as `openKeyring` does. */
export async function listKeys(bytes: Uint8Array): Promise<readonly KeySummary[]> {
  const config = policyOf(await loadOpenPgp());
  const keys = await readPublicKeys(bytes);
  return await Promise.all(
    keys.map(async (key) => {
      const expiry = await key.getExpirationTime(undefined, config);
      return {
        fingerprint: fingerprintOf(key),
        userIds: key.getUserIDs(),
        createdAtMs: key.getCreationTime().getTime(),
        expiresAtMs: expiry instanceof Date ? expiry.getTime() : undefined,
        isRevoked: await key.isRevoked(undefined, undefined, undefined, config),
      };
    }),
  );
}

/** The keys of a keyring that may vouch for a document: all, or the pinned ones. */
export function trustedKeys({ keys, pinned }: Keyring): OpenPgpKey[] {
  return keys.filter((key) => pinned.length === 0 || pinned.includes(fingerprintOf(key)));
}

/** Fingerprint of a primary key, in upper-case hex. */
export function fingerprintOf(key: OpenPgpKey): string {
  return key.getFingerprint().toUpperCase();
}

async function readPublicKeys(bytes: Uint8Array): Promise<OpenPgpKey[]> {
  const keys = isBinary(bytes) ? await readBinary(bytes) : await readArmored(bytes);
  if (keys.length === 0) throw new TrustError('the keyring holds no key', { hint: EXPORT_HINT });
  if (keys.some((key) => key.isPrivate())) {
    throw new TrustError('the keyring holds a secret key', { hint: EXPORT_HINT });
  }
  return keys;
}

const EXPORT_HINT = 'write it with gpg --export FINGERPRINT';

/** The first byte of every OpenPGP packet has its highest bit set (RFC 9580, section 4.2); text has not. */
function isBinary(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 0) & 0x80) !== 0;
}

async function readBinary(bytes: Uint8Array): Promise<OpenPgpKey[]> {
  const openpgp = await loadOpenPgp();
  try {
    return await openpgp.readKeys({ binaryKeys: bytes, config: policyOf(openpgp) });
  } catch (cause) {
    throw new TrustError('cannot read the keyring', { cause, hint: EXPORT_HINT });
  }
}

async function readArmored(bytes: Uint8Array): Promise<OpenPgpKey[]> {
  const text = Buffer.from(bytes).toString('latin1');
  if (text.startsWith(KEYBOX_MAGIC, 8)) {
    throw new TrustError('the keyring is a GnuPG keybox, which only GnuPG can read', { hint: EXPORT_HINT });
  }
  const openpgp = await loadOpenPgp();
  const keys: OpenPgpKey[] = [];
  for (const armoredKeys of armoredBlocks(text)) {
    try {
      keys.push(...(await openpgp.readKeys({ armoredKeys, config: policyOf(openpgp) })));
    } catch (cause) {
      throw new TrustError('cannot read the keyring', { cause, hint: EXPORT_HINT });
    }
  }
  return keys;
}

/** The library reads only the first of several armored blocks, so each is handed to it alone. */
function* armoredBlocks(text: string): Generator<string> {
  for (let start = text.indexOf(BEGIN); start !== -1; start = text.indexOf(BEGIN, start + 1)) {
    const end = text.indexOf(END, start);
    if (end === -1) throw new TrustError('the keyring is cut off', { hint: EXPORT_HINT });
    yield text.slice(start, end + END.length);
  }
}

/** One key of a file by itself, armored. @throws TrustError when it is not there. */
export async function extractKey(bytes: Uint8Array, fingerprint: string): Promise<string> {
  const key = (await readPublicKeys(bytes)).find((candidate) => fingerprintOf(candidate) === fingerprint);
  if (key === undefined) throw new TrustError(`the keyring does not hold the key ${fingerprint}`);
  return key.armor(policyOf(await loadOpenPgp()));
}
