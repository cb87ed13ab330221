import { expect } from 'chai';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GpgKey } from '../support/gpg.ts';
import { buildStream } from '../support/stream-builder.ts';
import { PRODUCTS, type Run, World } from '../support/world.ts';

const SERIAL = '20240821';
const DAY_MS = 86_400_000;
const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';

describe('hostile documents', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());
  beforeEach(() => world.reset());

  describe('signed by a key that is not good', () => {
    it('are refused once the key is revoked', async () => {
      const key = await world.key.home.createKey();
      await publishBy(key);
      expect((await syncWith(await keyringOf(key))).status).to.equal(0);
      await key.home.revoke(key);
      expectRefused(await syncWith(await keyringOf(key)), /revoked/);
    });

    it('are refused if the key had expired when it signed', async () => {
      const key = await world.key.home.createKey({ created: new Date(Date.UTC(2020, 0, 1)), expire: '2021-01-01' });
      const keyring = await keyringOf(key);
      await key.home.setExpiry(key, '0');
      await publishBy(key);
      expectRefused(await syncWith(keyring), /had expired when it signed/);
    });

    it('are refused if the digest is SHA-1', async () => {
      const key = await world.key.home.createKey({ algo: 'rsa2048' });
      await publishBy(key);
      await resign('index.sjson', key, { extra: ['--digest-algo', 'SHA1'] });
      expectRefused(await syncWith(await keyringOf(key)), /its signature uses SHA1, which is not safe/);
    });

    it('are refused if nobody knows it', async () => {
      await publishBy(await world.key.home.createKey());
      expectRefused(await world.sync(), /which is not in the keyring/);
    });
  });

  it('are refused if a line is padded behind what gpg hashes', async () => {
    await publish();
    const path = join(world.mirror, 'streams/v1/index.sjson');
    const text = await readFile(path, 'latin1');
    await writeFile(path, text.replace('"index:1.0",', `"index:1.0",${' '.repeat(20_000)}`), 'latin1');
    expectRefused(await world.sync(), /it has a line of more than 16 KiB/);
  });

  it("are refused if an index of two years ago is replayed after today's", async () => {
    await publish(daysAgo(730));
    for (const name of ['index', PRODUCTS.replace('.json', '')])
      await copyFile(documentPath(`${name}.sjson`), join(world.root, `${name}.old`));
    await publish();
    expect((await world.sync()).status).to.equal(0);
    await copyFile(join(world.root, 'index.old'), documentPath('index.sjson'));
    expectRefused(await world.sync(), /index\.sjson is of 20\d\d-.* was accepted before/);
    await copyFile(
      join(world.root, `${PRODUCTS.replace('.json', '')}.old`),
      documentPath(PRODUCTS.replace('.json', '.sjson')),
    );
    expectRefused(await world.sync('--no-resume'), /was accepted before/);
    expect((await world.sync('--allow-rollback')).status).to.equal(0);
  });

  it('are refused if all images are gone that were there before', async () => {
    await publish();
    await world.sync();
    await world.publish([]);
    const run = await world.sync();
    expectRefused(run, /offers no image at all, but 1 product\(s\) were accepted before\n.*--allow-rollback/);
    expect((await world.poolkeeper('query')).stdout).to.include(SERIAL);
    expect((await world.sync('--allow-rollback')).status).to.equal(4);
    expect((await world.poolkeeper('query')).stdout).to.include(SERIAL);
  });

  it('are warned of after 30 days, and refused after --max-document-age', async () => {
    await publish(daysAgo(40));
    const { status, stderr } = await world.sync();
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr });
    expect(stderr).to.match(
      /^poolkeeper: warning: http:\S+ its newest document is of \d{4}-\d\d-\d\dT\S+Z, 40d( \d+s)? ago\npoolkeeper: hint: .*\n$/,
    );
    expectRefused(await world.sync('--max-document-age', '39d'), /cannot trust http:\S+ its newest document is of/);
    expect(await world.sync('--max-document-age', '41d')).to.include({ status: 0, stderr: '' });
    expect((await world.sync('--max-document-age', 'soon')).status).to.equal(2);
    await world.amend('index.json', (document) => delete document['updated']);
    await world.amend(PRODUCTS, (document) => (document['updated'] = 'some day'));
    expectRefused(
      await world.sync('--max-document-age', '41d', '--allow-rollback'),
      /none of its documents has a date/,
    );
  });

  describe('with names that try to escape', () => {
    for (const [what, name] of [
      ['a slash', '../../../etc/passwd'],
      ['dots only', '..'],
      ['a NUL', 'noble\0.img'],
      ['a newline', 'noble\n20240821'],
      ['10 kB', 'n'.repeat(10_000)],
      ['a leading dash', '--delete'],
      ['a blank', 'no ble'],
      ['an escape sequence', '\u001B]0;title\u0007'],
      ['a reserved member', '__proto__'],
      ['nothing', ''],
    ] as const) {
      for (const level of ['product', 'version'] as const) {
        it(`put nothing outside the pool and the metadata directory: ${what} as ${level}`, async () => {
          await publish();
          await world.amend(PRODUCTS, (document) => rename(document, level, name));
          const before = await world.tree();
          const { status, stdout, stderr } = await world.sync('arch=amd64');
          const after = await world.tree();
          const made = Object.keys(after).filter((path) => before[path] === undefined && !path.includes('/state'));
          const allowed = new RegExp(`^(${world.poolPath}|${world.metadata})(/x-uvt-b64-[A-Za-z0-9_=-]{1,239})?$`);
          expect(made.filter((path) => !allowed.test(path))).to.deep.equal([]);
          expect([0, 4, 11, 12, 15], stderr).to.include(status);
          expect(stdout + stderr).not.to.match(/(?!\n)\p{Cc}|^ {4}at /mu);
        });
      }
    }
  });

  describe('with JSON that is valid, yet absurd', () => {
    for (const [what, text] of [
      ['nested a million deep', '['.repeat(1_000_000) + ']'.repeat(1_000_000)],
      ['a number', '7'],
      ['null', 'null'],
      ['an array', '[]'],
      ['an empty object', '{}'],
      ['a product that is a list', productsText('[]')],
      ['versions that are text', productsText('{"p":{"versions":"x"}}')],
      ['items that are a number', productsText('{"p":{"versions":{"1":{"items":3}}}}')],
      ['an item that is null', productsText('{"p":{"versions":{"1":{"items":{"i":null}}}}}')],
      [
        'a size of 1e999',
        productsText(
          '{"p":{"arch":"amd64","versions":{"1":{"items":{"i":{"ftype":"disk1.img","path":"a","size":1e999,"sha256":"x"}}}}}}',
        ),
      ],
      ['members named twice', productsText('{"p":{},"p":{"versions":{}}}')],
      ['a tag of 100 kB', productsText(`{"p":{"t":"${'x'.repeat(100_000)}"}}`)],
      ['half a surrogate', productsText('{"\\ud800":{"versions":{}}}')],
    ] as const) {
      it(`end in one line and touch nothing: ${what}`, async () => {
        await publish();
        await writeFile(documentPath(PRODUCTS), text);
        const source = ['--path', `streams/v1/${PRODUCTS}`, '--no-authentication'];
        const { status, stderr } = await world.sync('arch=amd64', ...source);
        expect([4, 11, 15], stderr).to.include(status);
        expect(stderr)
          .to.match(/^poolkeeper: error: [^\n]{1,500}\n/)
          .and.not.to.match(/^ {4}at /m);
        expect(await world.volumes()).to.deep.equal([]);
      });
    }
  });

  it('cannot keep a filter busy for ever', async () => {
    await publish();
    await world.amend(PRODUCTS, ({ products }) => {
      const product = products?.[NOBLE];
      if (product !== undefined) product['release'] = `${'a'.repeat(5000)}!`;
    });
    const since = performance.now();
    const { status, stderr } = await world.sync('release~^(a|aa)+$');
    expect({ status, line: /takes too long on "a{60}…"/.test(stderr) }, stderr).to.deep.equal({
      status: 2,
      line: true,
    });
    expect(performance.now() - since).to.be.below(10_000);
  });

  async function publish(updated = new Date()): Promise<void> {
    await world.publish([await world.release('noble', SERIAL)], updated);
  }

  async function publishBy(signer: GpgKey): Promise<void> {
    await buildStream(world.mirror, { products: [await world.release('noble', SERIAL)], signer, updated: new Date() });
  }

  /** Signs the published text once more, in another way. */
  async function resign(name: string, key: GpgKey, { extra }: { readonly extra: readonly string[] }): Promise<void> {
    const signed = await readFile(documentPath(name), 'utf8');
    const [, text = ''] = /\n\n(.*)\n-----BEGIN PGP SIGNATURE/s.exec(signed) ?? [];
    await writeFile(documentPath(name), await key.home.clearsign(text, { keys: [key], extra }));
  }

  async function keyringOf(key: GpgKey): Promise<string> {
    const path = join(world.root, 'other.gpg');
    await writeFile(path, await key.home.exportKeys([key]));
    return path;
  }

  function syncWith(keyring: string): Promise<Run> {
    return world.sync('--keyring', keyring);
  }

  function documentPath(name: string): string {
    return join(world.mirror, 'streams/v1', name);
  }
});

function expectRefused({ status, stderr }: Run, says: RegExp): void {
  expect(status, stderr).to.equal(12);
  expect(stderr).to.match(says);
}

function daysAgo(days: number): Date {
  return new Date(Date.now() - days * DAY_MS);
}

function productsText(products: string): string {
  return `{"content_id":"c","format":"products:1.0","datatype":"image-downloads","products":${products}}`;
}

function rename(
  { products }: { products?: Record<string, { versions: Record<string, unknown> }> },
  level: 'product' | 'version',
  name: string,
): void {
  const product = products?.[NOBLE];
  if (products === undefined || product === undefined) throw new Error('noble is not published');
  const holder: Record<string, unknown> = level === 'product' ? products : product.versions;
  const key = level === 'product' ? NOBLE : SERIAL;
  const value = holder[key];
  delete holder[key];
  Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
}
