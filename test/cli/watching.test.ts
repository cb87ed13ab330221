import { expect } from 'chai';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { jsonLines } from '../support/json-lines.ts';
import { parseMetrics } from '../support/metrics.ts';
import { World } from '../support/world.ts';

const KEPT = ['release=noble', 'arch=amd64'];

describe('who watches poolkeeper', () => {
  let world: World;
  let file: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.publishRelease('noble', '20240423');
    await mkdir(join(world.root, 'metrics'));
    file = join(world.root, 'metrics/poolkeeper.prom');
  });

  after(() => world.stop());

  /** The samples in the metrics file, by what is special about each. */
  const samples = async (): Promise<Record<string, number>> => {
    const all = parseMetrics(await readFile(file, 'utf8'));
    return Object.fromEntries([...all].map(([key, value]) => [key.replace(',pool="uvtool"', ''), value]));
  };

  it('hears nothing from a quiet run that changes nothing, and one line of a change', async () => {
    const first = await world.sync('-q', ...KEPT);
    expect(first.stdout).to.match(/^fetched image \S+ 20240423 \(\S+ [KM]iB\)\n$/);
    expect(first).to.include({ status: 0, stderr: '' });
    expect(await world.sync('-q', ...KEPT)).to.deep.equal({ status: 0, stdout: '', stderr: '' });
    expect(await world.poolkeeper('gc', '-q', '--yes')).to.deep.equal({ status: 0, stdout: '', stderr: '' });
  });

  it('finds what a run did and what the pool holds in the metrics file', async () => {
    const before = Date.now() / 1000;
    expect((await world.sync('--metrics-file', file, ...KEPT)).status).to.equal(0);
    expect((await stat(file)).mode & 0o777).to.equal(0o644);
    expect(await readdir(join(world.root, 'metrics'))).to.deep.equal(['poolkeeper.prom']);
    const found = await samples();
    expect(found).to.include({
      'poolkeeper_last_run_exit_status{command="sync"}': 0,
      'poolkeeper_last_run_exit_status{command="gc"}': 0,
      'poolkeeper_last_run_failures{command="sync",kind="source"}': 0,
      'poolkeeper_images{pool="uvtool",status="active"}': 1,
      'poolkeeper_images_offered{pool="uvtool"}': 1,
      'poolkeeper_reclaimable_bytes{pool="uvtool"}': 0,
      'poolkeeper_blind_spots{pool="uvtool"}': 0,
    });
    expect(found['poolkeeper_held_bytes{pool="uvtool"}']).to.be.greaterThan(0);
    expect(found['poolkeeper_last_success_timestamp_seconds{command="sync"}']).to.be.greaterThan(before);
    const document = `poolkeeper_source_document_timestamp_seconds{pool="uvtool",source="${world.server.url}"}`;
    expect(found[document]).to.be.within(before - 3600, before);
  });

  it('finds a failed run there as well, and when the last one succeeded', async () => {
    const good = await samples();
    world.server.fault(/json/, { kind: 'status', status: 404 });
    expect((await world.sync('--retries', '0', '--metrics-file', file, ...KEPT)).status).to.equal(11);
    world.server.clearFaults();
    const success = 'poolkeeper_last_success_timestamp_seconds{command="sync"}';
    expect(await samples()).to.include({
      'poolkeeper_last_run_exit_status{command="sync"}': 11,
      'poolkeeper_last_run_failures{command="sync",kind="source"}': 1,
      'poolkeeper_images{pool="uvtool",status="active"}': 1,
      [success]: good[success],
    });
  });

  it('finds the figures of the pool missing when nobody could look at it', async () => {
    const run = await world.sync('--connect', 'qemu+unix:///session?socket=/nowhere', '--metrics-file', file, ...KEPT);
    expect(run.status).to.equal(10);
    const found = await samples();
    expect(found).to.include({
      'poolkeeper_last_run_exit_status{command="sync"}': 10,
      'poolkeeper_last_run_failures{command="sync",kind="libvirt"}': 1,
    });
    expect(Object.keys(found).filter((key) => key.startsWith('poolkeeper_images'))).to.deep.equal([]);
  });

  it('is warned when the metrics file cannot be written, which is no failure', async () => {
    const run = await world.sync('-q', '--metrics-file', join(world.root, 'none/x.prom'), ...KEPT);
    expect(run).to.deep.include({ status: 0, stdout: '' });
    expect(run.stderr).to.match(/^poolkeeper: warning: cannot write '\S+\/none\/x\.prom'/);
    const [warning] = jsonLines(
      (await world.sync('--json', '-q', '--metrics-file', join(world.root, 'none/x.prom'), ...KEPT)).stdout,
    );
    expect(warning).to.have.property('message_type', 'warning');
  });

  it('finds the metrics as they were after a dry run', async () => {
    const text = await readFile(file, 'utf8');
    expect((await world.sync('--dry-run', '--metrics-file', file, ...KEPT)).status).to.equal(0);
    expect((await world.poolkeeper('gc', '--dry-run', '--metrics-file', file)).status).to.equal(0);
    expect(await readFile(file, 'utf8')).to.equal(text);
  });
});
