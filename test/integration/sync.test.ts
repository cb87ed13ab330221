import { expect } from 'chai';
import { readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dateless, World } from '../support/world.ts';

const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';
const JAMMY = 'com.ubuntu.cloud:server:22.04:amd64';

describe('sync', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());
  beforeEach(() => world.reset());

  /** The volumes, and what is offered, by release and serial. */
  async function offer(): Promise<unknown> {
    const { stdout } = await world.poolkeeper('query');
    return { volumes: await world.volumes(), offered: stdout.split('\n').filter((line) => line !== '') };
  }

  function named(release: string, ...serials: readonly string[]): string[] {
    return serials.map((serial) => world.volumeName(release, serial));
  }

  const line = (release: string, serial: string): string => `release=${release} arch=amd64 label=release (${serial})`;

  it('(18, 19) fetches the newest of several versions once, and asks for no image again', async () => {
    await world.publishRelease('noble', '20240423', '20240601', '20240821');
    const first = await world.sync('arch=amd64');
    expect(first).to.deep.equal({
      status: 0,
      stdout: `fetch image ${NOBLE} 20240821 (1.3 MiB)\nfetched image ${NOBLE} 20240821 (1.3 MiB)\n`,
      stderr: '',
    });
    expect(await offer()).to.deep.equal({ volumes: named('noble', '20240821'), offered: [line('noble', '20240821')] });
    const [tree, since] = [await world.tree(), world.server.requests.length];
    expect(await world.sync('arch=amd64')).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    expect(world.server.requests.slice(since).map(({ status }) => status)).to.deep.equal([304, 304]);
    expect(changedFiles(tree, await world.tree())).to.deep.equal([]);
  });

  it('(20) retires and deletes the old version only after the new one arrived', async () => {
    await world.publishRelease('noble', '20240423');
    await world.sync();
    await world.publishRelease('noble', '20240423', '20240821');
    const run = dateless(await world.sync());
    expect(run).to.deep.equal({
      status: 0,
      stdout: [
        `fetch image ${NOBLE} 20240821 (1.3 MiB)`,
        `fetched image ${NOBLE} 20240821 (1.3 MiB)`,
        `withdrew image ${NOBLE} 20240423 from the offer`,
        `deleted image ${NOBLE} 20240423 (1.3 MiB freed on DATE)`,
        '',
      ].join('\n'),
      stderr: '',
    });
    expect(await offer()).to.deep.equal({ volumes: named('noble', '20240821'), offered: [line('noble', '20240821')] });
  });

  it('(20) keeps the old version in the offer when the new one does not arrive', async () => {
    await world.publishRelease('noble', '20240423');
    await world.sync();
    await world.publishRelease('noble', '20240423', '20240821');
    world.server.fault(/20240821.*\.img$/, { kind: 'status', status: 404 });
    const run = await world.sync();
    expect(run.status).to.equal(11);
    expect(await offer()).to.deep.equal({ volumes: named('noble', '20240423'), offered: [line('noble', '20240423')] });
    world.server.clearFaults();
    expect((await world.sync()).status).to.equal(0);
    expect(await offer()).to.deep.equal({ volumes: named('noble', '20240821'), offered: [line('noble', '20240821')] });
  });

  it('(22) goes back to the previous version when the newest was withdrawn', async () => {
    await world.publishRelease('noble', '20240423', '20240821');
    await world.sync();
    await world.publishRelease('noble', '20240423');
    expect((await world.sync()).status).to.equal(0);
    expect(await offer()).to.deep.equal({ volumes: named('noble', '20240423'), offered: [line('noble', '20240423')] });
  });

  it('(23) keeps a product that vanished, or that the filters exclude', async () => {
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240301')]);
    await world.sync();
    const both = {
      volumes: [...named('jammy', '20240301'), ...named('noble', '20240423')].sort(),
      offered: [line('jammy', '20240301'), line('noble', '20240423')],
    };
    expect(await offer()).to.deep.equal(both);
    expect(await world.sync('release=noble')).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    await world.publishRelease('noble', '20240423');
    expect(await world.sync()).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    expect(await offer()).to.deep.equal(both);
  });

  it('(24) fetches a volume again that was deleted by hand', async () => {
    await world.publishRelease('noble', '20240423');
    await world.sync();
    await rm(world.volumePath('noble', '20240423'));
    const run = await world.sync();
    expect(run.stdout).to.equal(
      [
        `removed the metadata of image ${NOBLE} 20240423, which had no volume`,
        `fetch image ${NOBLE} 20240423 (1.3 MiB)`,
        `fetched image ${NOBLE} 20240423 (1.3 MiB)`,
        '',
      ].join('\n'),
    );
    expect(await offer()).to.deep.equal({ volumes: named('noble', '20240423'), offered: [line('noble', '20240423')] });
  });

  it('(24) offers a volume again whose metadata was deleted by hand, without a download', async () => {
    await world.publishRelease('noble', '20240423');
    await world.sync();
    const path = join(world.metadata, world.volumeName('noble', '20240423'));
    const bytes = await readFile(path, 'utf8');
    await rm(path);
    const since = world.server.requests.length;
    expect((await world.sync()).stdout).to.equal(`offered image ${NOBLE} 20240423\n`);
    expect(world.imageRequests(since)).to.equal(0);
    expect(await readFile(path, 'utf8')).to.equal(bytes);
  });

  it('(24) takes a volume without record and metadata for what it says only after a look at its content', async () => {
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240301')]);
    await world.sync();
    await rm(world.metadata, { recursive: true });
    await rm(join(world.root, 'state'), { recursive: true });
    await writeFile(world.volumePath('jammy', '20240301'), 'something else');
    const since = world.server.requests.length;
    const run = await world.sync('--min-age', '1d');
    expect(run.status).to.equal(3);
    expect(run.stdout).to.equal(`checked and offered image ${NOBLE} 20240423\n`);
    expect(run.stderr).to.equal(
      [
        `poolkeeper: error: the content of volume '${world.volumeName('jammy', '20240301')}' is not what the source describes`,
        'poolkeeper: hint: it stays until nothing needs it; then it is deleted and fetched anew',
        'poolkeeper: error: 1 of 2 images failed',
        '',
      ].join('\n'),
    );
    expect(world.imageRequests(since)).to.equal(0);
    expect(await readFile(world.volumePath('jammy', '20240301'), 'utf8')).to.equal('something else');
  });

  it('removes the metadata of a volume that is gone, of other products too', async () => {
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240301')]);
    await world.sync();
    await world.publishRelease('noble', '20240423');
    await rm(world.volumePath('jammy', '20240301'));
    expect((await world.sync()).stdout).to.equal(
      `removed the metadata of image ${JAMMY} 20240301, which had no volume\n`,
    );
    expect(await offer()).to.deep.equal({ volumes: named('noble', '20240423'), offered: [line('noble', '20240423')] });
  });

  it('holds on to as many versions as it was told, and offers only the newest', async () => {
    const keep = ['--keep-versions', '2'];
    await world.publishRelease('noble', '20240423');
    await world.sync(...keep);
    await world.publishRelease('noble', '20240423', '20240601');
    expect((await world.sync(...keep)).stdout.split('\n').slice(2)).to.deep.equal([
      `withdrew image ${NOBLE} 20240423 from the offer; it is retained`,
      '',
    ]);
    const two = { volumes: named('noble', '20240423', '20240601').sort(), offered: [line('noble', '20240601')] };
    expect(await offer()).to.deep.equal(two);
    expect(await world.sync(...keep)).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    await world.publishRelease('noble', '20240423', '20240601', '20240821');
    await world.sync(...keep);
    expect(await offer()).to.deep.equal({
      volumes: named('noble', '20240601', '20240821').sort(),
      offered: [line('noble', '20240821')],
    });
    await world.sync();
    expect(await offer()).to.deep.equal({ volumes: named('noble', '20240821'), offered: [line('noble', '20240821')] });
  });

  describe('--dry-run', () => {
    it('says what the real run then does, and does nothing of it', async () => {
      await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240301')]);
      await world.sync();
      await world.publish([await world.release('noble', '20240821'), await world.release('jammy', '20240301')]);
      await rm(world.volumePath('jammy', '20240301'));
      const [tree, since] = [await world.tree(), world.server.requests.length];
      const predicted = await world.sync('--dry-run');
      expect(changedFiles(tree, await world.tree())).to.deep.equal([]);
      expect(world.imageRequests(since)).to.equal(0);
      expect(predicted).to.deep.equal({
        status: 0,
        stdout: [
          `would remove the metadata of image ${JAMMY} 20240301, which has no volume`,
          `would fetch image ${NOBLE} 20240821 (1.3 MiB)`,
          `would fetch image ${JAMMY} 20240301 (1.3 MiB)`,
          `would withdraw image ${NOBLE} 20240423 from the offer`,
          `would delete image ${NOBLE} 20240423 (1.3 MiB)`,
          '',
        ].join('\n'),
        stderr: '',
      });
      const { stdout } = dateless(await world.sync('--quiet'));
      expect(stdout.split('\n').sort()).to.deep.equal(
        [
          `removed the metadata of image ${JAMMY} 20240301, which had no volume`,
          `fetched image ${NOBLE} 20240821 (1.3 MiB)`,
          `fetched image ${JAMMY} 20240301 (1.3 MiB)`,
          `withdrew image ${NOBLE} 20240423 from the offer`,
          `deleted image ${NOBLE} 20240423 (1.3 MiB freed on DATE)`,
          '',
        ].sort(),
      );
    });

    it('makes no directory on a host that was never synced', async () => {
      await world.publishRelease('noble', '20240423');
      const tree = await world.tree();
      expect((await world.sync('--dry-run')).status).to.equal(0);
      expect(changedFiles(tree, await world.tree())).to.deep.equal([]);
    });

    it('does not announce a deletion that the grace period will put off', async () => {
      await world.publishRelease('noble', '20240423');
      await world.sync();
      await age(join(world.root, 'state'), world.volumeName('noble', '20240423'));
      await utimes(world.volumePath('noble', '20240423'), 1, 1);
      await world.publishRelease('noble', '20240821');
      const predicted = await world.sync('--dry-run', '--grace', '2h');
      expect(predicted.stdout).to.match(/^keep image .* 20240423: needed until recently, eligible at /m);
      expect(predicted.stdout).not.to.include('would delete');
      expect((await world.sync('--grace', '2h')).stdout).not.to.match(/^deleted /m);
      expect(await world.volumes()).to.deep.equal(named('noble', '20240423', '20240821').sort());
    });
  });

  it('follows a change of tags, without a download', async () => {
    await world.publishRelease('noble', '20240423');
    await world.sync();
    await world.amendItem('noble', '20240423', (item) => Object.assign(item, { supported: false }));
    const [since, before] = [world.server.requests.length, await stat(world.volumePath('noble', '20240423'))];
    expect((await world.sync()).stdout).to.equal(`offered image ${NOBLE} 20240423\n`);
    expect(await world.metadataOf('noble', '20240423')).to.include({ supported: 'False', release: 'noble' });
    expect(world.imageRequests(since)).to.equal(0);
    expect((await stat(world.volumePath('noble', '20240423'))).mtimeMs).to.equal(before.mtimeMs);
  });
});

/** Paths that were made, removed or changed; lock, journal and memory of sources are written by every run. */
function changedFiles(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): string[] {
  const paths = new Set([...Object.keys(before), ...Object.keys(after)]);
  const isBookkeeping = /\/state\/pools\/[^/]+(\/(lock|journal|sources.*))?$/;
  return [...paths].filter((path) => before[path] !== after[path] && !isBookkeeping.test(path));
}

/** Lets a record say that everything happened long ago. */
async function age(state: string, volumeName: string): Promise<void> {
  const [uuid = ''] = await readdir(join(state, 'pools'));
  const path = join(state, 'pools', uuid, 'records', `${volumeName}.json`);
  const record = JSON.parse(await readFile(path, 'utf8')) as object;
  const times = { createdAt: 1000, statusSince: 1000, lastNeededAt: 1000 };
  await writeFile(path, JSON.stringify({ ...record, times }));
}
