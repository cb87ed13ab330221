import { expect } from 'chai';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { World } from '../support/world.ts';

/** What a source may do that no mistake of the administrator's explains. */
interface Case {
  readonly args: (world: World) => readonly string[];
  readonly status: number;
  /** What is said on standard error, without the program's name. */
  readonly says: (world: World) => readonly string[];
}

const BASE_HINT =
  'hint: the address must be that of the directory that holds streams/; unsigned sources have --path streams/v1/index.json';

/** A sync from the host's own stream. */
const sync =
  (...more: readonly string[]): Case['args'] =>
  ({ server, keyring }) => {
    const source = ['--source', server.url, '--keyring', keyring];
    return ['sync', ...source, '--grace', '0', '--min-age', '0', ...more];
  };

/** The first document of the host's stream. */
const index = ({ server }: World): string => `${server.url}streams/v1/index.sjson`;

describe('bad input', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.libvirtd.virsh('pool-define-as', 'idle', 'dir', '--target', join(world.libvirtd.root, 'idle'));
    await writeFile(join(world.root, 'file'), '');
    await world.publishRelease('noble', '20240423');
    await world.sync();
  });
  after(() => world.stop());
  afterEach(() => world.server.clearFaults());

  const offered = 'release=noble arch=amd64 label=release (20240423)\n';

  /** Everything that matters to the user of a pool. */
  async function images(): Promise<unknown> {
    const files = Object.entries(await world.tree()).filter(([path]) => !path.includes('/state'));
    return { volumes: await world.volumes(), files, query: (await world.poolkeeper('query')).stdout };
  }

  async function refuses({ args, status, says }: Case): Promise<void> {
    const before = await world.tree();
    const run = await world.poolkeeper(...args(world));
    const stderr = says(world)
      .map((line) => `poolkeeper: ${line}\n`)
      .join('');
    expect(run).to.deep.equal({ status, stdout: '', stderr });
    const after = await world.tree();
    const isImage = (path: string): boolean => !path.includes('/state');
    expect(Object.entries(after).filter(([path]) => isImage(path))).to.deep.equal(
      Object.entries(before).filter(([path]) => isImage(path)),
    );
  }

  for (const [what, fault, says] of [
    ['404', { kind: 'status', status: 404 }, [': the server answered 404', BASE_HINT]],
    [
      '403',
      { kind: 'status', status: 403 },
      [': the server answered 403', 'hint: check the address and who may read it'],
    ],
    [
      '501',
      { kind: 'status', status: 501 },
      [': the server answered 501', 'hint: the server has a problem: run again later'],
    ],
  ] as const) {
    it(`(34) explains a server that answers ${what}`, async () => {
      world.server.fault(/index/, fault);
      const [error, hint] = says;
      await refuses({ args: sync(), status: 11, says: (host) => [`error: cannot read ${index(host)}${error}`, hint] });
    });
  }

  it('(34) explains HTML in place of JSON', async () => {
    world.server.fault(/index/, { kind: 'html' });
    await refuses({
      args: sync(),
      status: 11,
      says: (host) => [
        `error: cannot use ${index(host)}: it is HTML, not JSON`,
        'hint: a proxy or a login page may have answered in place of the source',
      ],
    });
  });

  it('leaves files alone whose names say nothing, and lists them with -v', async () => {
    await writeFile(join(world.poolPath, 'x-uvt-b64-***'), 'foreign');
    for (const name of ['README', 'x-uvt-b64-bm90aGluZw==']) await writeFile(join(world.metadata, name), 'foreign');
    await mkdir(join(world.metadata, 'folder'));
    const before = await images();
    expect(await world.sync('-v')).to.deep.equal({
      status: 0,
      stdout: [
        "leave volume 'x-uvt-b64-***' alone: not managed",
        "leave metadata file 'README' alone: no image has this name",
        "leave metadata file 'x-uvt-b64-bm90aGluZw==' alone: no image has this name",
        '',
      ].join('\n'),
      stderr: '',
    });
    expect(await images()).to.deep.equal(before);
  });

  for (const [what, content, complaint] of [
    ['is cut off', '{"release":', 'is not JSON'],
    ['is not an object', '[]', 'is not a JSON object'],
    ['describes another image', '{"product_name":"p","version_name":"1"}', 'describes another image than its name'],
  ] as const) {
    it(`sets a metadata file aside that ${what}, and offers its image anew`, async () => {
      const name = world.volumeName('noble', '20240423');
      const path = join(world.metadata, name);
      const good = await readFile(path, 'utf8');
      await writeFile(path, content);
      const listing = await world.poolkeeper('query');
      expect([listing.status, listing.stdout]).to.deep.equal([0, '']);
      expect(listing.stderr).to.equal(`poolkeeper: warning: metadata file '${path}' ${complaint}\n`);
      expect(await readFile(path, 'utf8')).to.equal(content);
      const run = await world.sync();
      expect([run.status, run.stdout]).to.deep.equal([
        0,
        'offered image com.ubuntu.cloud:server:24.04:amd64 20240423\n',
      ]);
      const [, aside = ''] = /; it was set aside as (\S+)\n$/.exec(run.stderr) ?? [];
      expect(run.stderr).to.equal(
        `poolkeeper: warning: metadata file '${path}' ${complaint}; it was set aside as ${aside}\n`,
      );
      expect(await readFile(aside, 'utf8')).to.equal(content);
      expect(await readFile(path, 'utf8')).to.equal(good);
    });
  }

  it('sets a damaged record aside, and neither loses nor trusts its image', async () => {
    const [uuid = ''] = await readdir(join(world.root, 'state/pools'));
    const path = join(world.root, 'state/pools', uuid, 'records', `${world.volumeName('noble', '20240423')}.json`);
    await writeFile(path, '\0'.repeat(100));
    const run = await world.sync();
    expect([run.status, run.stdout]).to.deep.equal([0, '']);
    expect(run.stderr).to.match(/^poolkeeper: warning: record '\S+' .*; it was set aside as \S+\n$/);
    expect((await world.poolkeeper('query')).stdout).to.equal(offered);
    expect(await world.sync()).to.deep.equal({ status: 0, stdout: '', stderr: '' });
  });

  it('does without a cache that cannot be used', async () => {
    const path = join(world.root, 'file');
    const run = await world.sync('--cache-dir', path);
    expect([run.status, run.stdout]).to.deep.equal([0, '']);
    expect(run.stderr).to.match(
      /^poolkeeper: warning: cannot use '\S+\/file': it is not a directory\npoolkeeper: hint: /,
    );
  });

  it('loses nothing when the source offers nothing any more', async () => {
    await world.publish([]);
    await refuses({
      args: sync(),
      status: 12,
      says: ({ server }) => [
        `error: ${server.url} offers no image at all, but 1 product(s) were accepted before`,
        'hint: a stale mirror or a replay of old data; if the publisher really went back, run once with --allow-rollback',
      ],
    });
    await world.amend('index.json', (document) => (document.index = {}));
    await refuses({
      args: sync(),
      status: 12,
      says: ({ server }) => [
        `error: ${server.url} offers no image at all, but 1 product(s) were accepted before`,
        'hint: a stale mirror or a replay of old data; if the publisher really went back, run once with --allow-rollback',
      ],
    });
    await world.amend('index.json', (document) => (document['format'] = 'index:2.0'));
    await refuses({
      args: sync(),
      status: 11,
      says: (host) => [
        `error: cannot use ${index(host)}: its format is "index:2.0"`,
        'hint: index:1.0 and products:1.0 can be read',
      ],
    });
    expect((await world.poolkeeper('query')).stdout).to.equal(offered);
  });

  it('says as JSON what is wrong', async () => {
    const run = await world.poolkeeper('sync', '--json', '--pool', 'idle');
    expect([run.status, run.stderr]).to.deep.equal([10, '']);
    expect(JSON.parse(run.stdout)).to.deep.equal({
      message_type: 'error',
      message: "storage pool 'idle' is not active",
      hint: "start it with 'virsh pool-start idle'",
      code: 'POOLKEEPER_LIBVIRT',
      exit_status: 10,
    });
  });
});
