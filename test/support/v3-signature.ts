import { constants, createPrivateKey, createHash, sign, type KeyObject } from 'node:crypto';

import * as openpgp from 'openpgp';

const TEXT_SIGNATURE = 1;
const RSA = 1;
const SHA256 = 8;

/** A clear-signed document with a signature of version 3 (RFC 4880, section 5.2.2), which today's tools cannot make. */
export interface V3Signed {
  readonly document: string;
  readonly publicKey: Uint8Array;
}

/** Signs a text, without trailing blanks and dashes at the start of lines, with a new RSA-2048 key. */
export async function signV3(text: string, at: Date): Promise<V3Signed> {
  const { privateKey, publicKey } = await openpgp.generateKey({
    type: 'rsa',
    rsaBits: 2048,
    userIDs: [{ name: 'Foocloud 1999' }],
    date: new Date(at.getTime() - 1000),
    format: 'object',
  });
  const time = Buffer.alloc(4);
  time.writeUInt32BE(Math.floor(at.getTime() / 1000));
  const hashed = Buffer.concat([Buffer.from([TEXT_SIGNATURE]), time]);
  const signedBytes = Buffer.concat([Buffer.from(text.replaceAll('\n', '\r\n')), hashed]);
  const packet = Buffer.concat([
    Buffer.from([3, hashed.length]),
    hashed,
    Buffer.from(privateKey.getKeyID().toHex(), 'hex'),
    Buffer.from([RSA, SHA256]),
    createHash('sha256').update(signedBytes).digest().subarray(0, 2),
    mpi(sign('sha256', signedBytes, { key: toNodeKey(privateKey), padding: constants.RSA_PKCS1_PADDING })),
  ]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(packet.length);
  const armored = openpgp.armor(openpgp.enums.armor.signature, Buffer.concat([Buffer.from([0x89]), length, packet]));
  const document = `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${text}\n${armored.replaceAll('\r', '')}`;
  return { document, publicKey: publicKey.write() };
}

function mpi(number: Buffer): Buffer {
  const bits = Buffer.alloc(2);
  bits.writeUInt16BE(number.length * 8 - Math.clz32(number[0] ?? 0) + 24);
  return Buffer.concat([bits, number]);
}

function toNodeKey({ keyPacket }: openpgp.PrivateKey): KeyObject {
  const parameters: unknown = {
    ...keyPacket.publicParams,
    ...('privateParams' in keyPacket ? keyPacket.privateParams : {}),
  };
  const { n, e, d, p, q, u } = parameters as Record<string, Uint8Array>;
  if (!n || !e || !d || !p || !q || !u) throw new Error('not an RSA key');
  const privateExponent = toBigInt(d);
  const jwk = {
    kty: 'RSA',
    n: base64url(n),
    e: base64url(e),
    d: base64url(d),
    // OpenPGP's u is p^-1 mod q, JWK's qi is q^-1 mod p: so the primes change places.
    p: base64url(q),
    q: base64url(p),
    qi: base64url(u),
    dp: base64url(toBytes(privateExponent % (toBigInt(q) - 1n))),
    dq: base64url(toBytes(privateExponent % (toBigInt(p) - 1n))),
  };
  return createPrivateKey({ key: jwk, format: 'jwk' });
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

function toBytes(value: bigint): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
