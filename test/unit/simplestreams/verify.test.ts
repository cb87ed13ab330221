import { expect } from 'chai';
import * as fc from 'fast-check';

import { TrustError } from '../../../src/errors.ts';
import { openKeyring } from '../../../src/simplestreams/keyring.ts';
import { verifyClearSigned, verifyDetached, type Verification } from '../../../src/simplestreams/verify.ts';
import { openGpgHome, type GpgHome, type GpgKey } from '../../support/gpg.ts';
import { NOW, PRODUCTS_TEXT } from './reading.ts';

describe('verification', () => {
  const signedAt = new Date(Date.UTC(2024, 7, 22, 3, 28, 23));
  let gpg: GpgHome;
  let key: GpgKey;
  let verification: Verification;

  before(async () => {
    gpg = await openGpgHome();
    key = await gpg.createKey({ created: new Date(Date.UTC(2020, 0, 1)) });
    const keyring = await openKeyring(await gpg.exportKeys([key]));
    verification = { document: 'foo', keyring, nowMs: NOW };
  });

  after(async () => {
    await gpg.close();
  });

  it('returns signer, date and the text that was hashed', async () => {
    const document = await gpg.clearsign('a  \nb\n', { keys: [key], at: signedAt });
    expect(await verifyClearSigned(document, verification)).to.deep.equal({
      verdict: {
        fingerprint: key.fingerprint,
        signedAtMs: signedAt.getTime(),
        payload: new TextEncoder().encode('a\nb'),
      },
      isLasting: true,
    });
  });

  it('tolerates a clock that is up to a day behind the signer', async () => {
    const document = await gpg.clearsign('{}\n', { keys: [key], at: signedAt });
    const at = async (nowMs: number): Promise<unknown> =>
      await verifyClearSigned(document, { ...verification, nowMs }).catch((error: unknown) => error);
    expect(await at(signedAt.getTime() - 86_400_000)).to.not.be.instanceOf(TrustError);
    expect(await at(signedAt.getTime() - 86_401_000)).to.be.instanceOf(TrustError);
  });

  it('accepts a subkey and names its primary key', async () => {
    const split = await gpg.createKey();
    await gpg.addSigningSubkey(split);
    const keyring = await openKeyring(await gpg.exportKeys([split]), { pinned: [split.fingerprint] });
    const document = await gpg.clearsign('{}\n', { keys: [split] });
    const { verdict } = await verifyClearSigned(document, { ...verification, keyring });
    expect(verdict.fingerprint).to.equal(split.fingerprint);
  });

  it('never accepts a changed text, whichever byte of a signed document is changed', async () => {
    const document = await gpg.clearsign(PRODUCTS_TEXT, { keys: [key] });
    const { verdict } = await verifyClearSigned(document, verification);
    await fc.assert(
      fc.asyncProperty(fc.nat(document.length - 1), fc.nat(255), async (at, value) => {
        const changed = Buffer.from(document).fill(value, at, at + 1);
        const outcome = await verifyClearSigned(changed, verification).catch((error: unknown) => error);
        if (outcome instanceof Error) expect(outcome).to.be.instanceOf(TrustError);
        else expect(outcome).to.deep.equal({ verdict, isLasting: true });
      }),
      { numRuns: 150 },
    );
  });

  it('throws nothing but TrustErrors, whatever the detached signature', async () => {
    const good = await gpg.detachSign('{}', { keys: [key], armor: false });
    const damaged = fc
      .tuple(fc.nat(good.length - 1), fc.nat(255))
      .map(([at, value]) => Buffer.from(good).fill(value, at, at + 1));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array(), damaged), async (signature) => {
        const outcome = await verifyDetached(Buffer.from('{}'), signature, verification).catch(
          (error: unknown) => error,
        );
        if (outcome instanceof Error) expect(outcome).to.be.instanceOf(TrustError);
      }),
      { numRuns: 150 },
    );
  });
});
