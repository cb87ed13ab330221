import { expect } from 'chai';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jsonLines } from '../support/json-lines.ts';
import { buildStream, productName } from '../support/stream-builder.ts';
import { type Run, World } from '../support/world.ts';

const NOBLE = productName({ release: 'noble' });
const JAMMY = productName({ release: 'jammy' });

describe('catalog', () => {
  let world: World;
  let config: string;
  before(async () => {
    world = await World.start();
    await world.createPool();
    const arm = { release: 'noble', arch: 'arm64', versions: [{ serial: '20240501', image: Buffer.from('arm') }] };
    await world.publish([await world.release('noble', '20240423', '20240501', '20240601'), arm]);
    await world.sync('version_name=20240423');
    await world.sync('version_name=20240501', '--keep-versions', '2');
    const second = join(world.mirror, 'second');
    await mkdir(second);
    await buildStream(second, {
      products: [await world.release('jammy', '20240401')],
      signer: world.key,
      updated: new Date(),
    });
    config = join(world.root, 'config.yaml');
    const keyring = `keyring: ${world.keyring}`;
    const address = world.server.url;
    await writeFile(
      config,
      `sources:\n  first: {url: ${address}, ${keyring}, filters: [release=none]}\n  second: {url: ${address}second/, ${keyring}}\n`,
    );
  });
  after(() => world.stop());

  const catalog = (...args: readonly string[]): Promise<Run> =>
    world.poolkeeper('catalog', '--config', config, ...args);
  const rowsOf = ({ stdout }: Run): readonly string[] =>
    stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.trim().replaceAll(/ {2,}/g, ' '));

  it('lists the newest version of every product for this host, marks what is held, and changes nothing', async () => {
    const before = await world.tree();
    const run = await catalog('arch=amd64');
    expect([run.status, run.stderr]).to.deep.equal([0, '']);
    expect(rowsOf(run)).to.deep.equal([
      'PRODUCT VERSION ARCH RELEASE SIZE ITEM SOURCE',
      `${NOBLE} 20240601 amd64 noble 1.3 MiB disk1.img first`,
      `${JAMMY} 20240401 amd64 jammy 1.3 MiB disk1.img second`,
    ]);
    expect(await world.tree()).to.deep.equal(before);
  });

  it('lists every version on demand', async () => {
    expect(rowsOf(await catalog('--source', 'first', '--all', 'arch=amd64'))).to.deep.equal([
      'PRODUCT VERSION ARCH RELEASE SIZE ITEM',
      `${NOBLE} 20240601 amd64 noble 1.3 MiB disk1.img`,
      `* ${NOBLE} 20240501 amd64 noble 1.3 MiB disk1.img`,
      `+ ${NOBLE} 20240423 amd64 noble 1.3 MiB disk1.img`,
    ]);
  });

  it('gives the same as JSON', async () => {
    const [row] = jsonLines((await catalog('--source', 'second', '--json', 'arch=amd64')).stdout);
    expect(row).to.deep.equal({
      message_type: 'catalog',
      product: JAMMY,
      version: '20240401',
      source: 'second',
      item: 'disk1.img',
      arch: 'amd64',
      release: 'jammy',
      size_bytes: Number(row?.['size_bytes']),
      is_held: false,
      is_offered: false,
    });
  });

  it('lists keys and values with their counts', async () => {
    const fields = rowsOf(await catalog('--source', 'first', '--fields'));
    expect(fields[0]).to.equal('KEY ITEMS VALUES');
    expect(fields).to.include.members(['arch 20 2', 'ftype 20 5', 'release 20 1']);
    expect(rowsOf(await catalog('--source', 'first', '--values', 'arch'))).to.deep.equal([
      'ARCH ITEMS',
      'amd64 15',
      'arm64 5',
    ]);
    expect(rowsOf(await catalog('--values', 'version_name', 'release=jammy'))).to.deep.equal([
      'VERSION_NAME ITEMS',
      '20240401 5',
    ]);
  });

  it('explains what matches nothing', async () => {
    for (const [args, message, hint] of [
      [
        ['relase=noble'],
        'nothing on offer matches datatype=image-downloads ftype=disk1.img relase=noble',
        "'relase=noble': nothing has a key 'relase'; did you mean 'release'?",
      ],
      [
        ['release=nobel'],
        'nothing on offer matches datatype=image-downloads ftype=disk1.img release=nobel',
        "'release=nobel': did you mean release=noble?",
      ],
      [['--values', 'relase'], "nothing on offer has a key 'relase'", "did you mean 'release'?"],
    ] as const) {
      expect(await catalog(...args)).to.deep.equal({
        status: 4,
        stdout: '',
        stderr: `poolkeeper: error: ${message}\npoolkeeper: hint: ${hint}\n`,
      });
    }
  });

  it('does without libvirt, and says what is missing then', async () => {
    const run = await catalog('--source', 'second', '--connect', 'qemu+unix:///session?socket=/nowhere', 'arch=amd64');
    expect([run.status, rowsOf(run).length]).to.deep.equal([0, 2]);
    expect(run.stderr).to.match(
      /^poolkeeper: warning: what the pool holds is not marked, and old data of sources not noticed: cannot connect to /,
    );
  });

  it('lists what can be read when one of several sources cannot', async () => {
    world.server.fault(/second\/streams/, { kind: 'status', status: 404 });
    const run = await catalog('arch=amd64');
    world.server.clearFaults();
    expect([run.status, rowsOf(run).length]).to.deep.equal([3, 2]);
    expect(run.stderr).to.match(
      /second\/streams\/v1\/index.sjson: the server answered 404\n(.*\n)*poolkeeper: error: 1 of 2 sources failed\n$/,
    );
  });

  it('does not go back in time with a source', async () => {
    await world.publish([await world.release('noble', '20240423')], new Date('2024-01-01'));
    const run = await catalog('--source', 'first', 'arch=amd64');
    expect([run.status, run.stdout]).to.deep.equal([12, '']);
    expect(run.stderr).to.contain('was accepted before');
  });

  it('is what a query without an answer helps with, too', async () => {
    const query = await world.poolkeeper('query', 'release=nobel');
    expect(query).to.deep.equal({
      status: 0,
      stdout: '',
      stderr:
        "poolkeeper: warning: none of the 1 images on offer matches release=nobel\npoolkeeper: hint: 'release=nobel': did you mean release=noble?\n",
    });
    expect(await world.poolkeeper('query', '--quiet', 'release=nobel')).to.deep.equal({
      status: 0,
      stdout: '',
      stderr: '',
    });
  });
});
