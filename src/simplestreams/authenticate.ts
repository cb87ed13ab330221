import { createHash } from 'node:crypto';

import type { Clock, DocumentCache, SignatureVerdict } from '../core/ports.ts';
import { isClearSigned, refused, unwrapClearSigned } from './clear-signed.ts';
import type { Keyring } from './keyring.ts';
import { POLICY_VERSION } from './openpgp.ts';
import { verifyClearSigned, verifyDetached, type Verified } from './verify.ts';

/** A document as it came, with its detached signature where its form has one. */
export interface RawDocument {
  /** Its address without credentials; the ending decides how it is signed. */
  readonly url: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly detachedSignature: Uint8Array | undefined;
}

/** What a document says, and who vouches for it. */
export interface Authentic {
  readonly payload: Uint8Array;
  /** Upper-case hex fingerprint of the primary key. `undefined`: the source needs no signatures. */
  readonly signer: string | undefined;
  /** Whether this holds at any later time for the same bytes and the same keys: false when the signature itself expires. */
  readonly isLasting: boolean;
}

export interface Authentication {
  readonly keyring: Keyring;
  readonly clock: Clock;
  /** Where verdicts are kept; without it every signature is checked anew. */
  readonly verdicts: Pick<DocumentCache, 'readVerdict' | 'writeVerdict'> | undefined;
}

/** Whether a document of that name carries its signature in a file beside it. */
export function hasDetachedSignature(path: string): boolean {
  return path.endsWith('.json');
}

/**
 * Checks a document's signature: that within a `.sjson`, the detached one of a `.json`. Documents of any other name
 * have no signature to go by.
 *
 * A good verdict is kept under a digest of all it depends on, and stays true: key expiry and revocation are judged at
 * the moment of signing, and a date once past stays past. Signatures that expire are the exception and are not kept.
 * With `isFresh` an earlier verdict is not used.
 *
 * @throws TrustError when the document is not signed as it must be.
 */
export async function authenticate(
  document: RawDocument,
  { keyring, clock, verdicts }: Authentication,
  { isFresh = false } = {},
): Promise<Authentic> {
  const key = verdictKey(document, keyring);
  const known = isFresh ? undefined : await verdicts?.readVerdict(key);
  if (known !== undefined) return authentic(known, true);
  const { verdict, isLasting } = await verify(document, keyring, clock.now());
  if (isLasting) await verdicts?.writeVerdict(key, verdict);
  return authentic(verdict, isLasting);
}

/** The payload of a document of a source that needs no signatures: taken out of its envelope if it has one. */
export function withoutAuthentication({ url, bytes }: RawDocument): Authentic {
  return { payload: isClearSigned(bytes) ? unwrapClearSigned(bytes, url) : bytes, signer: undefined, isLasting: true };
}

async function verify(document: RawDocument, keyring: Keyring, nowMs: number): Promise<Verified> {
  const { url, bytes, detachedSignature } = document;
  const verification = { document: url, keyring, nowMs };
  if (detachedSignature !== undefined) return await verifyDetached(bytes, detachedSignature, verification);
  if (url.endsWith('.sjson')) return await verifyClearSigned(bytes, verification);
  throw refused(url, 'a document of that name has no signature', { hint: 'only .sjson and .json can be signed' });
}

function verdictKey({ sha256, detachedSignature }: RawDocument, keyring: Keyring): string {
  const parts = [`policy ${POLICY_VERSION}`, sha256, detachedSignature && digestOf(detachedSignature), keyring.sha256];
  return digestOf([...parts, ...keyring.pinned].join('\n'));
}

/** SHA-256 in lower-case hex. */
export function digestOf(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

function authentic({ payload, fingerprint }: SignatureVerdict, isLasting: boolean): Authentic {
  return { payload, signer: fingerprint, isLasting };
}
