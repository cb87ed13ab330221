import { expect } from 'chai';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fault } from '../support/http-fault.ts';
import { type HttpServer, startHttpServer } from '../support/http-server.ts';
import { sha256Of } from '../support/aftermath.ts';
import { type Run, runProgram, World } from '../support/world.ts';

const SERIAL = '20240821';
const TARGETS = {
  index: /index\.sjson$/,
  products: /download\.sjson$/,
  image: /\.img$/,
} as const;
type Target = keyof typeof TARGETS;

/** What the server does wrong, and the exit status for each target: index, products, image. */
const CASES: readonly (readonly [string, Fault | readonly Fault[], readonly [number, number, number]])[] = [
  ['truncated', { kind: 'truncate', afterBytes: 500 }, [11, 11, 11]],
  ['short, right length', { kind: 'short', bytes: 300 }, [12, 12, 15]],
  ['short, chunked', { kind: 'short', bytes: 300, chunked: true }, [12, 12, 15]],
  ['longer', { kind: 'extra', bytes: 4096 }, [12, 12, 15]],
  ['longer, chunked', { kind: 'extra', bytes: 4096, chunked: true }, [12, 12, 15]],
  ['flipped byte', { kind: 'flip', offset: 400 }, [12, 12, 15]],
  ['stalled', { kind: 'stall', afterBytes: 500 }, [11, 11, 11]],
  ['slow', { kind: 'slow', bytesPerSecond: 4_000_000 }, [0, 0, 0]],
  ['reset at 30 %', { kind: 'reset', fraction: 0.3 }, [11, 11, 11]],
  ['HTML with 200', { kind: 'html' }, [11, 11, 15]],
  ['403', { kind: 'status', status: 403 }, [11, 11, 11]],
  ['404', { kind: 'status', status: 404 }, [11, 11, 11]],
  ['500', { kind: 'status', status: 500 }, [11, 11, 11]],
  ['503', { kind: 'status', status: 503 }, [11, 11, 11]],
  ['204 without body', { kind: 'status', status: 204 }, [11, 11, 11]],
  ['redirect loop', { kind: 'redirect', to: '?again' }, [11, 11, 11]],
  ['redirect to ftp', { kind: 'redirect', to: 'ftp://127.0.0.1/x' }, [12, 12, 12]],
  ['Content-Length too short', { kind: 'content-length', value: 100 }, [12, 12, 15]],
  ['Content-Length too long', { kind: 'content-length', value: 9_000_000 }, [11, 11, 15]],
  ['gzip not asked for', { kind: 'gzip' }, [0, 0, 11]],
];

interface Cell {
  readonly name: string;
  readonly target: Target;
  readonly faults: readonly Fault[];
  readonly expected: number;
}

interface Result extends Cell {
  readonly run: Run;
  readonly offered: readonly string[];
  readonly next: Run;
}

/** A pool and a server of its own, so that several cells can be tried at the same time. */
interface Bench {
  readonly pool: string;
  readonly path: string;
  readonly root: string;
  readonly server: HttpServer;
}

describe('every fault of the server, in every document and image', () => {
  let world: World;
  let benches: readonly Bench[];

  before(async () => {
    world = await World.start();
    await world.publish([await world.release('noble', SERIAL)]);
    benches = await Promise.all(['a', 'b', 'c', 'd'].map((name) => openBench(name)));
  });
  after(async () => {
    for (const { server } of benches) await server.stop();
    await world.stop();
  });

  it('lets in nothing that is not right, says what it was, and is over with the fault', async () => {
    const cells = CASES.flatMap(([name, fault, statuses]) =>
      (['index', 'products', 'image'] as const).map((target, index): Cell => ({
        name,
        target,
        faults: [fault].flat(),
        expected: statuses[index] ?? -1,
      })),
    );
    const results = await tryAll(cells);
    for (const result of results) console.log(`      ${rowOf(result)}`);
    for (const result of results) expectSound(result);
    expect(results.map(({ name, target, run }) => `${name}, ${target}: ${run.status}`)).to.deep.equal(
      cells.map(({ name, target, expected }) => `${name}, ${target}: ${expected}`),
    );
  }).timeout(300_000);

  async function tryAll(cells: readonly Cell[]): Promise<readonly Result[]> {
    const queue = [...cells.entries()];
    const results: Result[] = [];
    const work = async (bench: Bench): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift())
        results[next[0]] = await tryCell(bench, next[1]);
    };
    await Promise.all(benches.map((bench) => work(bench)));
    return results;
  }

  async function tryCell(bench: Bench, cell: Cell): Promise<Result> {
    await rm(bench.root, { recursive: true, force: true });
    // By libvirt, as a sync of another pool at the same time would miss what libvirt lists and nobody finds.
    const deletions = (await readdir(bench.path)).map((name) => `vol-delete ${name} --pool ${bench.pool}`);
    await world.libvirtd.virsh([`pool-refresh ${bench.pool}`, ...deletions].join('; '));
    for (const fault of cell.faults) bench.server.fault(TARGETS[cell.target], fault);
    const run = await sync(bench);
    const offered = await offersOf(bench);
    bench.server.clearFaults();
    const next = await sync(bench);
    expect(await offersOf(bench), `${cell.name} ${cell.target}: ${next.stderr}`).to.deep.equal([await published()]);
    return { ...cell, run, offered, next };
  }

  function sync({ pool, root, server }: Bench): Promise<Run> {
    const dirs = ['state', 'cache', 'metadata'].flatMap((name) => [`--${name}-dir`, join(root, name)]);
    const source = ['--source', server.url, '--keyring', world.keyring, '--retries', '1', '--stall-timeout', '1s'];
    return runProgram(['sync', '-c', world.libvirtd.uri, '--pool', pool, ...dirs, ...source], world.root);
  }

  /** The digests of what is offered. */
  async function offersOf({ root, path }: Bench): Promise<readonly string[]> {
    const names = await readdir(join(root, 'metadata')).catch(() => []);
    return Promise.all(names.map((name) => sha256Of(join(path, name))));
  }

  async function published(): Promise<string> {
    const metadata = await readFile(join(world.mirror, 'streams/v1/com.ubuntu.cloud:released:download.json'), 'utf8');
    return /\.img",\s*"sha256": "([0-9a-f]{64})"/.exec(metadata)?.[1] ?? 'nothing';
  }

  async function openBench(pool: string): Promise<Bench> {
    const path = await world.libvirtd.poolDir(`pool-${pool}`);
    await world.libvirtd.virsh('pool-define-as', pool, 'dir', '--target', path);
    await world.libvirtd.virsh('pool-start', pool);
    return { pool, path, root: join(world.root, pool), server: await startHttpServer(world.mirror) };
  }
});

function expectSound({ name, target, run, offered, next }: Result): void {
  const what = `${name}, ${target}: ${run.stderr}`;
  expect(run.stderr, what).not.to.match(/^ {4}at /m);
  expect(offered.length, what).to.equal(run.status === 0 ? 1 : 0);
  expect({ status: next.status, stderr: next.stderr }, what).to.deep.equal({ status: 0, stderr: '' });
}

function rowOf({ name, target, run, next }: Result): string {
  const [line = ''] = run.stderr.split('\n').filter((text) => text.includes('error: '));
  const said = line.replace(/^.*?: error: /, '').replaceAll(/http:\S*\/(\S+)/g, '$1');
  const then = next.stdout.includes('fetched image') ? 'fetched' : next.stdout.trim() || 'nothing to do';
  return [
    name.padEnd(25),
    target.padEnd(9),
    String(run.status).padStart(3),
    `  next: ${next.status} ${then.split(' com.')[0]}`.padEnd(22),
    said.slice(0, 110),
  ].join(' ');
}
