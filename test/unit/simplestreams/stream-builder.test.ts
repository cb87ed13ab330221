import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { fetchStream, type Stream } from '../../../src/simplestreams/fetch-stream.ts';
import { resolveSource } from '../../../src/simplestreams/source.ts';
import { memoryFetcher } from '../../support/memory-fetcher.ts';
import { buildStream, productName } from '../../support/stream-builder.ts';

describe('a mirror that tests build', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'poolkeeper-mirror-'));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  async function readBack(): Promise<Stream> {
    return await fetchStream(resolveSource(directory, 'streams/v1/index.json', '/'), {
      fetcher: memoryFetcher(),
      authentication: 'none',
      keyring: undefined,
      clock: { now: () => 0 },
    });
  }

  it('is a stream whose digests and sizes are those of its files', async () => {
    const image = Buffer.from('an image');
    const versions = [{ serial: '20240423', image }];
    const products = [
      { release: 'noble', versions },
      { release: 'jammy', arch: 'arm64', versions },
    ];
    const built = await buildStream(directory, { products, updated: new Date(Date.UTC(2024, 4, 1)) });
    const stream = await readBack();
    const items = [...stream.items()];
    expect(items).to.have.length(10);
    for (const { path, tags } of items) {
      const content = await readFile(join(directory, path ?? ''));
      expect([tags['size'], tags['sha256'], tags['md5']]).to.deep.equal([
        String(content.length),
        createHash('sha256').update(content).digest('hex'),
        createHash('md5').update(content).digest('hex'),
      ]);
    }
    const disk = items.find(
      ({ product, itemName }) => product === productName({ release: 'noble' }) && itemName === 'disk1.img',
    );
    expect(disk?.path).to.equal(built.images.get('com.ubuntu.cloud:server:24.04:amd64 20240423'));
    expect(disk?.tags).to.deep.equal({
      aliases: '24.04,n,noble,lts',
      arch: 'amd64',
      content_id: 'com.ubuntu.cloud:released:download',
      creator: 'climdb-download-streams-export',
      datatype: 'image-downloads',
      format: 'products:1.0',
      ftype: 'disk1.img',
      item_name: 'disk1.img',
      label: 'release',
      license: 'http://www.canonical.com/intellectual-property-policy',
      md5: createHash('md5').update(image).digest('hex'),
      os: 'ubuntu',
      path: 'server/releases/noble/release-20240423/ubuntu-24.04-server-cloudimg-amd64.img',
      product_name: 'com.ubuntu.cloud:server:24.04:amd64',
      pubname: 'ubuntu-noble-24.04-amd64-server-20240423',
      release: 'noble',
      release_codename: 'Noble Numbat',
      release_title: '24.04 LTS',
      sha256: createHash('sha256').update(image).digest('hex'),
      size: '8',
      support_eol: '2029-05-31',
      supported: 'True',
      updated: 'Wed, 01 May 2024 00:00:00 +0000',
      version: '24.04',
      version_name: '20240423',
    });
    expect(stream.documents.map(({ updatedAtMs }) => updatedAtMs)).to.deep.equal(Array(2).fill(Date.UTC(2024, 4, 1)));
  });

  it('moves on when it is built again', async () => {
    const image = Buffer.from('x');
    const offer = async (...serials: string[]): Promise<string[]> => {
      const versions = serials.map((serial) => ({ serial, image }));
      await buildStream(directory, { products: [{ release: 'noble', versions }] });
      return [...new Set([...(await readBack()).items()].map(({ version }) => version))];
    };
    expect(await offer('20240423')).to.deep.equal(['20240423']);
    expect(await offer('20240423', '20240501')).to.deep.equal(['20240423', '20240501']);
    expect(await readdir(join(directory, 'streams/v1'))).to.deep.equal([
      'com.ubuntu.cloud:released:download.json',
      'index.json',
    ]);
  });
});
