import { expect } from 'chai';

import { openKeyring, type Keyring } from '../../../src/simplestreams/keyring.ts';
import { openGpgHome, type GpgHome, type GpgKey } from '../../support/gpg.ts';
import { signV3 } from '../../support/v3-signature.ts';
import { INDEX, NOW, PRODUCTS_TEXT, readDocument, refusal } from './reading.ts';

describe('interop statements on signatures', () => {
  let gpg: GpgHome;
  let key: GpgKey;
  let stranger: GpgKey;
  let keyring: Keyring;
  let good: string;

  before(async () => {
    gpg = await openGpgHome();
    key = await gpg.createKey({ algo: 'rsa2048', created: new Date(Date.UTC(2019, 0, 1)), userId: 'Foocloud' });
    stranger = await gpg.createKey({ created: new Date(Date.UTC(2019, 0, 1)), userId: 'Stranger' });
    keyring = await openKeyring(await gpg.exportKeys([key]), { pinned: [key.fingerprint] });
    good = (await gpg.clearsign(PRODUCTS_TEXT, { keys: [key] })).toString();
  });

  after(async () => {
    await gpg.close();
  });

  it('28. accepts a document signed by the pinned key', async () => {
    const stream = await readDocument(good, { keyring });
    expect(stream.documents.map(({ signer }) => signer)).to.deep.equal([key.fingerprint]);
    expect([...stream.items()].map(({ path, signer, tags }) => ({ path, signer, note: tags['note'] }))).to.deep.equal([
      { path: 'server/a.img', signer: key.fingerprint, note: 'größe\n- and a dash' },
    ]);
  });

  it('28. rejects a tampered body', async () => {
    expect(await refusal(readDocument(good.replace('a.img', 'b.img'), { keyring }))).to.equal(
      `cannot trust ${INDEX}: the signature of key ${key.fingerprint} does not fit the content`,
    );
  });

  it('28. rejects a wrong key', async () => {
    const document = await gpg.clearsign(PRODUCTS_TEXT, { keys: [stranger] });
    expect(await refusal(readDocument(document, { keyring }))).to.equal(
      `cannot trust ${INDEX}: it is signed by key ${stranger.fingerprint.slice(-16)}, which is not in the keyring`,
    );
  });

  it('28. rejects a key of the keyring that is not pinned', async () => {
    const document = await gpg.clearsign(PRODUCTS_TEXT, { keys: [stranger] });
    const both = await openKeyring(await gpg.exportKeys([key, stranger]), { pinned: [key.fingerprint] });
    expect(await refusal(readDocument(document, { keyring: both }))).to.equal(
      `cannot trust ${INDEX}: it is signed by key ${stranger.fingerprint}, which is not pinned`,
    );
  });

  it('28. rejects a revoked key, whenever it signed', async () => {
    const lost = await gpg.createKey();
    const document = await gpg.clearsign(PRODUCTS_TEXT, { keys: [lost] });
    await gpg.revoke(lost);
    const revoked = await openKeyring(await gpg.exportKeys([lost]));
    expect(await refusal(readDocument(document, { keyring: revoked }))).to.equal(
      `cannot trust ${INDEX}: key ${lost.fingerprint} is revoked`,
    );
  });

  it('28. rejects a key that had expired when it signed, and accepts what it signed before', async () => {
    const old = await gpg.createKey({ created: new Date(Date.UTC(2020, 0, 1)), expire: '2021-01-01' });
    const expiring = await openKeyring(await gpg.exportKeys([old]));
    const before = await gpg.clearsign(PRODUCTS_TEXT, { keys: [old], at: new Date(Date.UTC(2020, 5, 1)) });
    await gpg.setExpiry(old, '0');
    const after = await gpg.clearsign(PRODUCTS_TEXT, { keys: [old], at: new Date(Date.UTC(2022, 5, 1)) });
    expect((await readDocument(before, { keyring: expiring })).documents[0]?.signer).to.equal(old.fingerprint);
    expect(await refusal(readDocument(after, { keyring: expiring }))).to.equal(
      `cannot trust ${INDEX}: key ${old.fingerprint} had expired when it signed`,
    );
  });

  it('28. rejects a SHA-1 signature', async () => {
    const document = await gpg.clearsign(PRODUCTS_TEXT, { keys: [key], extra: ['--digest-algo', 'SHA1'] });
    expect(await refusal(readDocument(document, { keyring }))).to.equal(
      `cannot trust ${INDEX}: its signature uses SHA1, which is not safe`,
    );
  });

  it('28. rejects an RSA-1024 and a DSA key', async () => {
    for (const algo of ['rsa1024', 'dsa2048']) {
      const weak = await gpg.createKey({ algo });
      const weakKeyring = await openKeyring(await gpg.exportKeys([weak]));
      const document = await gpg.clearsign(PRODUCTS_TEXT, { keys: [weak] });
      expect(await refusal(readDocument(document, { keyring: weakKeyring }))).to.equal(
        `cannot trust ${INDEX}: key ${weak.fingerprint} is too weak`,
      );
    }
  });

  it('28. rejects a version 3 signature', async () => {
    const { document, publicKey } = await signV3(PRODUCTS_TEXT, new Date(Date.UTC(2024, 0, 1)));
    expect(await refusal(readDocument(document, { keyring: await openKeyring(publicKey) }))).to.equal(
      `cannot trust ${INDEX}: it has no signature of an accepted version`,
    );
  });

  it('28. rejects a document without signature', async () => {
    expect(await refusal(readDocument(PRODUCTS_TEXT, { keyring }))).to.equal(`cannot trust ${INDEX}: it is not signed`);
  });

  it('28. rejects an emptied signature', async () => {
    const emptied = good.replace(/(-----BEGIN PGP SIGNATURE-----\n)[^]*(-----END PGP SIGNATURE-----)/, '$1\n\n$2');
    expect(await refusal(readDocument(emptied, { keyring }))).to.equal(
      `cannot trust ${INDEX}: its signature cannot be read`,
    );
  });

  it('28. rejects a signature that is cut off', async () => {
    expect(await refusal(readDocument(good.slice(0, -40), { keyring }))).to.equal(
      `cannot trust ${INDEX}: it is cut off`,
    );
  });

  it('28. rejects two blocks', async () => {
    expect(await refusal(readDocument(`${good}${good}`, { keyring }))).to.equal(
      `cannot trust ${INDEX}: it holds more than one signed message`,
    );
  });

  it('28. rejects text before and after the signed message', async () => {
    expect(await refusal(readDocument(`{}\n${good}`, { keyring }))).to.equal(
      `cannot trust ${INDEX}: text precedes the signed message`,
    );
    expect(await refusal(readDocument(`${good}{}\n`, { keyring }))).to.equal(
      `cannot trust ${INDEX}: text follows the signature`,
    );
  });

  it('28. rejects a padded long line', async () => {
    const padded = good.replace('"amd64",', `"amd64",${' '.repeat(20_000)}"injected": "x",`);
    expect(await refusal(readDocument(padded, { keyring }))).to.equal(
      `cannot trust ${INDEX}: it has a line of more than 16 KiB`,
    );
  });

  it('28. rejects a signature dated in the future', async () => {
    const document = await gpg.clearsign(PRODUCTS_TEXT, { keys: [key], at: new Date(NOW + 2 * 86_400_000) });
    expect(await refusal(readDocument(document, { keyring }))).to.equal(
      `cannot trust ${INDEX}: its signature is dated in the future`,
    );
  });

  it('28. rejects a signature that has expired', async () => {
    const at = new Date(Date.UTC(2024, 0, 1));
    const document = await gpg.clearsign(PRODUCTS_TEXT, { keys: [key], at, extra: ['--default-sig-expire', '1y'] });
    expect(await refusal(readDocument(document, { keyring }))).to.equal(
      `cannot trust ${INDEX}: its signature has expired`,
    );
  });

  it('28. rejects armor headers other than Hash, and dashes that are not escaped', async () => {
    expect(await refusal(readDocument(good.replace('Hash:', 'Comment: x\nHash:'), { keyring }))).to.equal(
      `cannot trust ${INDEX}: it has an armor header that is not allowed`,
    );
    expect(await refusal(readDocument(good.replace('\n{', '\n-{'), { keyring }))).to.equal(
      `cannot trust ${INDEX}: a line begins with a dash that is not escaped`,
    );
  });

  it('28. rejects a Hash header that is not that of the signature', async () => {
    expect(await refusal(readDocument(good.replace(/^Hash: .*/m, 'Hash: SHA224'), { keyring }))).to.equal(
      `cannot trust ${INDEX}: its Hash header does not fit its signature`,
    );
  });

  it('28. rejects control characters in a signed document', async () => {
    const document = await gpg.clearsign(`${PRODUCTS_TEXT}\f`, { keys: [key] });
    expect(await refusal(readDocument(document, { keyring }))).to.equal(
      `cannot trust ${INDEX}: it holds control characters`,
    );
  });

  it('accepts the line ends of Windows', async () => {
    const stream = await readDocument(good.replaceAll('\n', '\r\n'), { keyring });
    expect([...stream.items()]).to.have.length(1);
  });

  it('accepts a key whose own certificates are SHA-1, as those of Ubuntu are', async () => {
    const sha1 = await gpg.createKey({ algo: 'rsa2048', extra: ['--cert-digest-algo', 'SHA1'] });
    const document = await gpg.clearsign(PRODUCTS_TEXT, { keys: [sha1] });
    const stream = await readDocument(document, { keyring: await openKeyring(await gpg.exportKeys([sha1])) });
    expect(stream.documents[0]?.signer).to.equal(sha1.fingerprint);
  });
});
