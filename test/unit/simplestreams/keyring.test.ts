import { expect } from 'chai';
import * as fc from 'fast-check';

import { TrustError } from '../../../src/errors.ts';
import { listKeys, openKeyring, PINNED_KEYS, trustedKeys } from '../../../src/simplestreams/keyring.ts';
import { openGpgHome, type GpgHome, type GpgKey } from '../../support/gpg.ts';

async function refusal(opening: Promise<unknown>): Promise<string> {
  const outcome = await opening.catch((error: unknown) => error);
  expect(outcome).to.be.instanceOf(TrustError);
  return outcome instanceof TrustError ? outcome.message : '';
}

describe('keyring', () => {
  let gpg: GpgHome;
  let first: GpgKey;
  let second: GpgKey;

  before(async () => {
    gpg = await openGpgHome();
    const created = new Date(Date.UTC(2020, 0, 1));
    first = await gpg.createKey({ created, expire: '2021-01-01', userId: 'First' });
    second = await gpg.createKey({ created, userId: 'Second' });
  });

  after(async () => {
    await gpg.close();
  });

  it('trusts all keys, or the pinned ones, however the fingerprint is written', async () => {
    const bytes = await gpg.exportKeys([first, second]);
    const open = await openKeyring(bytes);
    const spaced = second.fingerprint.toLowerCase().replaceAll(/(.{4})/g, '$1 ');
    const pinned = await openKeyring(bytes, { pinned: [spaced] });
    expect(open.fingerprints).to.deep.equal([first.fingerprint, second.fingerprint]);
    expect(trustedKeys(open)).to.deep.equal(open.keys);
    expect(pinned.pinned).to.deep.equal([second.fingerprint]);
    expect(trustedKeys(pinned)).to.deep.equal([pinned.keys[1]]);
    expect(pinned.sha256)
      .to.equal(open.sha256)
      .and.to.match(/^[0-9a-f]{64}$/);
  });

  it('refuses a keyring without the pinned key', async () => {
    const bytes = await gpg.exportKeys([first]);
    expect(await refusal(openKeyring(bytes, { pinned: [PINNED_KEYS.ubuntu] }))).to.equal(
      `the keyring does not hold the pinned key ${PINNED_KEYS.ubuntu}`,
    );
  });

  it('refuses what holds no key, half a key, a secret key or a keybox', async () => {
    const armored = (await gpg.exportKeys([first], { armor: true })).toString();
    const keybox = Buffer.concat([Buffer.alloc(8), Buffer.from('KBXf'), Buffer.alloc(20)]);
    const secret = await gpg.exportSecretKey(second);
    expect(await refusal(openKeyring(Buffer.alloc(0)))).to.equal('the keyring holds no key');
    expect(await refusal(openKeyring(Buffer.from('hello')))).to.equal('the keyring holds no key');
    expect(await refusal(openKeyring(Buffer.from(armored.slice(0, -30))))).to.equal('the keyring is cut off');
    expect(await refusal(openKeyring(Buffer.from(armored.replace(/^m/m, 'n'))))).to.equal('cannot read the keyring');
    expect(await refusal(openKeyring(secret))).to.equal('the keyring holds a secret key');
    expect(await refusal(openKeyring(keybox))).to.equal('the keyring is a GnuPG keybox, which only GnuPG can read');
  });

  it('describes every key', async () => {
    await gpg.revoke(second);
    const summaries = await listKeys(await gpg.exportKeys([first, second], { armor: true }));
    expect(summaries.map(({ userIds, ...summary }) => ({ ...summary, user: userIds[0]?.split(' ')[0] }))).to.deep.equal(
      [
        {
          fingerprint: first.fingerprint,
          user: 'First',
          createdAtMs: Date.UTC(2020, 0, 1),
          // gpg ends a day at noon.
          expiresAtMs: Date.UTC(2021, 0, 1, 12),
          isRevoked: false,
        },
        {
          fingerprint: second.fingerprint,
          user: 'Second',
          createdAtMs: Date.UTC(2020, 0, 1),
          expiresAtMs: undefined,
          isRevoked: true,
        },
      ],
    );
  });

  it('throws nothing but TrustErrors, whatever the bytes', async () => {
    const good = await gpg.exportKeys([first]);
    const armored = await gpg.exportKeys([first], { armor: true });
    const damaged = fc
      .tuple(fc.constantFrom(good, armored), fc.nat(), fc.nat(255))
      .map(([bytes, at, value]) => Buffer.from(bytes).fill(value, at % bytes.length, (at % bytes.length) + 1));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array(), damaged), async (bytes) => {
        const outcome = await openKeyring(bytes).catch((error: unknown) => error);
        if (outcome instanceof Error) expect(outcome).to.be.instanceOf(TrustError);
      }),
    );
  });
});
