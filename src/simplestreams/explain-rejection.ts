import type { Signature, SignaturePacket } from 'openpgp';

import type { TrustError } from '../errors.ts';
import { refused } from './clear-signed.ts';
import { fingerprintOf, trustedKeys, type Keyring } from './keyring.ts';
import { LIMITS } from './limits.ts';
import { loadOpenPgp, policyOf, type OpenPgp, type OpenPgpKey } from './openpgp.ts';

interface Circumstances {
  readonly document: string;
  readonly keyring: Keyring;
  readonly nowMs: number;
}

/**
 * Says why a document whose verification has already failed was refused, by looking at its signatures one by one. It
 * only explains: nothing found here can make a document acceptable.
 */
export async function explainRejection(
  signature: Signature,
  circumstances: Circumstances,
  cause: unknown,
): Promise<TrustError> {
  const openpgp = await loadOpenPgp();
  const { document } = circumstances;
  const packets = signature.packets.filterByTag(openpgp.enums.packet.signature);
  // The library keeps packets of other versions as unparsed bytes; of an armored nothing it keeps none.
  if (packets.length === 0) return refused(document, 'it has no signature of an accepted version', { cause });
  const reasons = await Promise.all(packets.map(async (packet) => await reasonFor(packet, circumstances, openpgp)));
  const hint =
    "check that the address is the publisher's; 'poolkeeper keyring add' adds a key, --keyring names a file of keys";
  return refused(document, reasons.join('; '), { cause, hint });
}

async function reasonFor(
  packet: SignaturePacket,
  { keyring, nowMs }: Circumstances,
  openpgp: OpenPgp,
): Promise<string> {
  const id = packet.issuerKeyID.toHex().toUpperCase();
  const key = keyring.keys.find((candidate) => candidate.getKeys(packet.issuerKeyID).length > 0);
  if (key === undefined) return `it is signed by key ${id}, which is not in the keyring`;
  const signer = fingerprintOf(key);
  if (!trustedKeys(keyring).includes(key)) return `it is signed by key ${signer}, which is not pinned`;
  return (
    reasonInAlgorithms(packet, key, openpgp) ??
    reasonInDates(packet, nowMs) ??
    (await reasonInKey(packet, key, openpgp)) ??
    `the signature of key ${signer} does not fit the content`
  );
}

function reasonInAlgorithms(packet: SignaturePacket, key: OpenPgpKey, openpgp: OpenPgp): string | undefined {
  const policy = policyOf(openpgp);
  const { hashAlgorithm } = packet;
  if (hashAlgorithm !== null && policy.rejectMessageHashAlgorithms.has(hashAlgorithm)) {
    return `its signature uses ${openpgp.enums.read(openpgp.enums.hash, hashAlgorithm).toUpperCase()}, which is not safe`;
  }
  const { algorithm, bits = Infinity } = key.getKeys(packet.issuerKeyID)[0]?.getAlgorithmInfo() ?? {};
  const isRejected =
    algorithm !== undefined && policy.rejectPublicKeyAlgorithms.has(openpgp.enums.publicKey[algorithm]);
  if (isRejected || bits < policy.minRSABits) return `key ${fingerprintOf(key)} is too weak`;
  return undefined;
}

function reasonInDates(packet: SignaturePacket, nowMs: number): string | undefined {
  const latest = new Date(nowMs + LIMITS.clockSkewMs);
  if (packet.created !== null && packet.created > latest) return 'its signature is dated in the future';
  return packet.isExpired(latest) ? 'its signature has expired' : undefined;
}

async function reasonInKey(packet: SignaturePacket, key: OpenPgpKey, openpgp: OpenPgp): Promise<string | undefined> {
  const config = policyOf(openpgp);
  const created = packet.created ?? new Date(0);
  const signer = fingerprintOf(key);
  if (await key.isRevoked(undefined, undefined, created, config)) return `key ${signer} is revoked`;
  const expiry = await key.getExpirationTime(undefined, config);
  if (expiry !== null && expiry <= created) return `key ${signer} had expired when it signed`;
  const isUsable = await key.getSigningKey(packet.issuerKeyID, created, undefined, config).then(
    () => true,
    () => false,
  );
  return isUsable ? undefined : `key ${signer} was not allowed to sign at that time`;
}
