import type { Signature, VerifyMessageResult, VerifyOptions } from 'openpgp';

import type { SignatureVerdict } from '../core/ports.ts';
import { assertPlainLines, refused, splitClearSigned } from './clear-signed.ts';
import { explainRejection } from './explain-rejection.ts';
import { fingerprintOf, trustedKeys, type Keyring } from './keyring.ts';
import { LIMITS } from './limits.ts';
import { loadOpenPgp, policyOf, type OpenPgp } from './openpgp.ts';

/** What a signature is checked against. */
export interface Verification {
  /** Names the document in errors. */
  readonly document: string;
  readonly keyring: Keyring;
  readonly nowMs: number;
}

/** A verdict, and whether it can still be relied on at any later time. */
export interface Verified {
  readonly verdict: SignatureVerdict;
  /** False when the signature itself expires. */
  readonly isLasting: boolean;
}

/**
 * Verifies a clear-signed document. The payload of the verdict is what the verifier hashed, never a second reading of
 * the text. One good signature of a trusted key is enough; others beside it may be of unknown keys.
 *
 * @throws TrustError whose message says why the document is refused.
 */
export async function verifyClearSigned(bytes: Uint8Array, verification: Verification): Promise<Verified> {
  const { document } = verification;
  const parts = splitClearSigned(bytes, document);
  assertPlainLines(bytes, document);
  const openpgp = await loadOpenPgp();
  const signature = await readSignature(parts.signature, document);
  const message = await openpgp
    .readCleartextMessage({ cleartextMessage: decodeUtf8(bytes, document), config: policyOf(openpgp) })
    .catch((cause: unknown) => {
      throw refused(document, 'its Hash header does not fit its signature', { cause });
    });
  const { data, signatures } = await openpgp
    .verify({ ...checksOf(openpgp, verification), message })
    .catch(async (cause: unknown) => {
      throw await explainRejection(signature, verification, cause);
    });
  return await verified(signatures, verification, new TextEncoder().encode(data));
}

/**
 * Verifies a detached signature, armored or binary, over the exact bytes of a document.
 *
 * @throws TrustError whose message says why the document is refused.
 */
export async function verifyDetached(
  bytes: Uint8Array,
  signatureBytes: Uint8Array,
  verification: Verification,
): Promise<Verified> {
  const openpgp = await loadOpenPgp();
  const signature = await readSignature(signatureBytes, verification.document);
  const message = await openpgp.createMessage({ binary: bytes });
  const { signatures } = await openpgp
    .verify({ ...checksOf(openpgp, verification), message, signature, format: 'binary' })
    .catch(async (cause: unknown) => {
      throw await explainRejection(signature, verification, cause);
    });
  return await verified(signatures, verification, bytes);
}

/** `expectSigned` matters: without it, a document whose signatures were all dropped while parsing passes unseen. */
function checksOf(
  openpgp: OpenPgp,
  { keyring, nowMs }: Verification,
): Pick<VerifyOptions, 'verificationKeys' | 'expectSigned' | 'date' | 'config'> {
  const date = new Date(nowMs + LIMITS.clockSkewMs);
  return { verificationKeys: trustedKeys(keyring), expectSigned: true, date, config: policyOf(openpgp) };
}

/** Which of the signatures is the good one. */
async function verified(
  signatures: VerifyMessageResult['signatures'],
  { document, keyring }: Verification,
  payload: Uint8Array,
): Promise<Verified> {
  const outcomes = await Promise.allSettled(signatures.map(({ verified: outcome }) => outcome));
  const good = signatures[outcomes.findIndex(({ status }) => status === 'fulfilled')];
  const { created, signatureNeverExpires: isLasting = false } = (await good?.signature)?.packets[0] ?? {};
  const key = good && trustedKeys(keyring).find((candidate) => candidate.getKeys(good.keyID).length > 0);
  if (!(created instanceof Date) || key === undefined) throw refused(document, 'it has no good signature');
  return { verdict: { fingerprint: fingerprintOf(key), signedAtMs: created.getTime(), payload }, isLasting };
}

async function readSignature(bytes: Uint8Array, document: string): Promise<Signature> {
  const openpgp = await loadOpenPgp();
  const config = policyOf(openpgp);
  const isBinary = ((bytes[0] ?? 0) & 0x80) !== 0;
  try {
    if (isBinary) return await openpgp.readSignature({ binarySignature: bytes, config });
    return await openpgp.readSignature({ armoredSignature: Buffer.from(bytes).toString('latin1'), config });
  } catch (cause) {
    throw refused(document, 'its signature cannot be read', { cause });
  }
}

function decodeUtf8(bytes: Uint8Array, document: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw refused(document, 'it is not UTF-8 text', { cause });
  }
}
