import type * as openpgp from 'openpgp';
import type { Config, PublicKey } from 'openpgp';

/** The openpgp library, loaded when the first signature or key is looked at: it takes 35 ms that most commands save. */
export type OpenPgp = typeof openpgp;

/** A public key as the library holds it. */
export type OpenPgpKey = PublicKey;

/** Loads the library. */
export async function loadOpenPgp(): Promise<OpenPgp> {
  return await import('openpgp');
}

/** Part of the key of every cached verdict. Raise it whenever what is accepted changes. */
export const POLICY_VERSION = 1;

/**
 * What is accepted, spelled out so that a later default of the library changes nothing: SHA-1 stays good enough for a
 * key's own certificates, because those of Ubuntu's image key have no other, but not for documents.
 */
export function policyOf({ enums, config }: OpenPgp): Config {
  return {
    ...config,
    minRSABits: 2047,
    rejectHashAlgorithms: new Set([enums.hash.md5, enums.hash.ripemd]),
    rejectMessageHashAlgorithms: new Set([enums.hash.md5, enums.hash.ripemd, enums.hash.sha1]),
    rejectPublicKeyAlgorithms: new Set([enums.publicKey.elgamal, enums.publicKey.dsa]),
    rejectCurves: new Set([enums.curve.secp256k1]),
    allowInsecureVerificationWithReformattedKeys: false,
    ignoreUnsupportedPackets: true,
    ignoreMalformedPackets: false,
    additionalAllowedPackets: [],
    knownNotations: [],
  };
}
