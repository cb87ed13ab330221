import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { World } from '../test/support/world.ts';
import { IMAGE_PATH, publish, syncArguments, withHost } from './host.ts';
import { measure, measureNode, median, medianWallMs, PROGRAM, type Sample } from './measure.ts';
import { TIERS } from './products-document.ts';
import { atMost, type Row, toRow } from './row.ts';

const RUNS = 5;
const MIB = 2 ** 20;
const LINK_BYTES_PER_SECOND = 100 * MIB;

/** The first sync of a 1 GiB image, beside the same work by curl, openssl dgst and virsh one after the other. */
export async function firstSyncRow(): Promise<Row> {
  const small = await withHost(async (world) => syncs(world, 16 * MIB, () => Promise.resolve()));
  return withHost(async (world) => {
    const tools = toolsInTurn(world);
    const { samples, imageBytes, daemonBytes } = await syncs(world, 1024 * MIB, tools.round);
    const floor = { what: 'curl, then openssl dgst, then virsh vol-upload', ...tools.medians() };
    const growth = (peakRss(samples) - peakRss(small.samples)) / MIB;
    const ownBytes = median(samples.map(({ usage }) => usage?.writtenBytes ?? NaN));
    const written = (daemonBytes + ownBytes) / imageBytes;
    return toRow('first sync of a 1 GiB image', samples, floor, {
      counted: {
        'curl ms': floor.curlMs,
        'openssl dgst ms': floor.digestMs,
        'vol-upload ms': floor.uploadMs,
        'times written': written,
        'own writes KiB': ownBytes / 1024,
        'RSS growth from 16 MiB to 1 GiB, MiB': growth,
      },
      goals: ({ ratio }) => [
        atMost('ratio', ratio, 1.1),
        atMost('RSS growth MiB', growth, 40),
        atMost('peak RSS MiB', peakRss(samples) / MIB, 150),
        atMost('own writes KiB', ownBytes / 1024, 1024),
      ],
    });
  });
}

/** The same behind a server that sends no faster than a link of 1 Gbit/s, beside curl alone. */
export async function limitedSyncRow(): Promise<Row> {
  return withHost(async (world) => {
    world.server.fault(/\.img$/, { kind: 'slow', bytesPerSecond: LINK_BYTES_PER_SECOND });
    const curl: Sample[] = [];
    const { samples } = await syncs(world, 1024 * MIB, async () => void curl.push(await fetchByCurl(world)));
    const floor = { what: 'curl alone', wallMs: medianWallMs(curl) };
    return toRow('first sync of a 1 GiB image, server limited to 100 MiB/s', samples, floor, {
      goals: ({ ratio }) => [atMost('ratio', ratio, 1.05), atMost('peak RSS MiB', peakRss(samples) / MIB, 150)],
    });
  });
}

interface Syncs {
  readonly samples: readonly Sample[];
  readonly imageBytes: number;
  /** What libvirtd and its helpers wrote in each run. */
  readonly daemonBytes: number;
}

/** Syncs for the first time, several times; `after` each time comes what it is held against, under the same load. */
async function syncs(world: World, contentBytes: number, after: (imageBytes: number) => Promise<void>): Promise<Syncs> {
  const imageBytes = await publish(world, TIERS.S, contentBytes);
  const samples: Sample[] = [];
  const written: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    await forget(world);
    const before = await writtenBy(world.libvirtd.pid);
    samples.push(await measureNode(PROGRAM, ...syncArguments(world)));
    written.push((await writtenBy(world.libvirtd.pid)) - before);
    await forget(world);
    await after(imageBytes);
  }
  return { samples, imageBytes, daemonBytes: median(written) };
}

/** Brings the host back to before the first sync. */
async function forget(world: World): Promise<void> {
  for (const volume of await world.volumes()) await rm(join(world.poolPath, volume));
  for (const folder of ['state', 'cache', 'metadata'])
    await rm(join(world.root, folder), { recursive: true, force: true });
  await world.libvirtd.virsh('pool-refresh', 'uvtool');
}

/** The same work by the usual tools, one after the other; each call adds a round. */
function toolsInTurn(world: World) {
  const path = join(world.mirror, IMAGE_PATH);
  const virsh = ['-q', '-c', world.libvirtd.uri];
  const [curl, digest, upload]: [Sample[], Sample[], Sample[]] = [[], [], []];
  return {
    round: async (imageBytes: number): Promise<void> => {
      curl.push(await fetchByCurl(world));
      digest.push(await measure('openssl', ['dgst', '-sha256', path]));
      await measure('virsh', [...virsh, 'vol-create-as', 'uvtool', 'upload', `${imageBytes}B`, '--allocation', '0']);
      upload.push(await measure('virsh', [...virsh, 'vol-upload', '--pool', 'uvtool', 'upload', path]));
    },
    medians: () => {
      const [curlMs, digestMs, uploadMs] = [medianWallMs(curl), medianWallMs(digest), medianWallMs(upload)];
      return { curlMs, digestMs, uploadMs, wallMs: curlMs + digestMs + uploadMs };
    },
  };
}

function fetchByCurl({ server }: World): Promise<Sample> {
  return measure('curl', ['-sf', '-o', '/dev/null', new URL(IMAGE_PATH, server.url).href]);
}

function peakRss(samples: readonly Sample[]): number {
  return Math.max(...samples.map(({ usage }) => usage?.peakRssBytes ?? NaN));
}

/** Bytes given to file systems by a process and the helpers it waited for. */
async function writtenBy(pid: number): Promise<number> {
  return Number(/^write_bytes:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/io`, 'latin1'))?.[1]);
}
