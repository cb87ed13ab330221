import { fileURLToPath } from 'node:url';
import type { World } from '../test/support/world.ts';
import { addDomains, publish, syncArguments, withHost } from './host.ts';
import type { Reading } from './libvirt-calls.ts';
import { measureNode, median, PROGRAM, repeat, type Sample } from './measure.ts';
import { TIERS } from './products-document.ts';
import { atMost, type Floor, type Row, toRow } from './row.ts';
import { nodeAlone } from './startup-rows.ts';

const CALLS = fileURLToPath(new URL('libvirt-calls.js', import.meta.url));
const RUNS = 5;
const DOMAINS = 1000;
/** Three for each domain with its two disks, and what listing costs whatever is listed. */
const CALLS_ALLOWED = 3 * DOMAINS + 50;
const IMAGE_BYTES = 2 ** 20;
const KIB = 1024;

/** A sync that finds nothing new, with a products document of 15 MB and no domain. */
export async function unchangedRow(): Promise<Row> {
  return withHost(async (world) => {
    await firstSync(world);
    const floor = await nodeAlone();
    return unchanged('unchanged sync, 15 MB document', world, { floor, limitMs: 180 });
  });
}

/** The same with 1,000 domains on 2,000 volumes, and the use graph of that host alone. */
export async function domainRows(): Promise<readonly Row[]> {
  return withHost(async (world) => {
    await firstSync(world);
    const [image = ''] = await world.volumes();
    await addDomains(world, DOMAINS, `${world.poolPath}/${image}`);
    const rounds = await repeat(RUNS, async () => ({
      scan: await reading(world, 'scan', 4),
      alone: await reading(world, 'alone', 4),
      sequential: await reading(world, 'alone', 1),
    }));
    const scans = rounds.map(({ scan }) => scan);
    const alone = rounds.map((round) => round.alone);
    const sequential = rounds.map((round) => round.sequential);
    const floor = { what: 'the same libvirt calls on 4 lanes', wallMs: wallOf(alone) };
    const counted = {
      calls: callsOf(scans),
      'sequential loop ms': wallOf(sequential),
      'loop calls': callsOf(sequential),
    };
    const graph = toRow('use graph, 1,000 domains', scans.map(asSample), floor, {
      counted,
      goals: ({ ratio }) => [atMost('ratio', ratio, 1.4), atMost('calls', callsOf(scans), CALLS_ALLOWED)],
    });
    const name = 'unchanged sync, 15 MB document, 1,000 domains, 2,000 volumes';
    return [graph, await unchanged(name, world, { floor, limitMs: 450 })];
  });
}

async function firstSync(world: World): Promise<void> {
  await publish(world, TIERS['15MB'], IMAGE_BYTES);
  await measureNode(PROGRAM, ...syncArguments(world));
}

async function unchanged(
  name: string,
  world: World,
  { floor, limitMs }: { floor: Floor; limitMs: number },
): Promise<Row> {
  await measureNode(PROGRAM, ...syncArguments(world));
  const before = world.server.requests.length;
  const samples = await repeat(RUNS, () => measureNode(PROGRAM, ...syncArguments(world)));
  const requests = world.server.requests.slice(before);
  // One more run than is measured.
  const fetched = requests.reduce((sum, { bytes }) => sum + bytes, 0) / (RUNS + 1);
  return toRow(name, samples, floor, {
    counted: { 'fetched KiB': fetched / KIB, requests: requests.length / (RUNS + 1) },
    goals: ({ wallMs }) => [atMost('wall ms', wallMs, limitMs), atMost('fetched KiB', fetched / KIB, 4)],
  });
}

interface Measured {
  readonly reading: Reading;
  readonly sample: Sample;
}

async function reading(world: World, mode: string, lanes: number): Promise<Measured> {
  const sample = await measureNode(CALLS, mode, world.libvirtd.uri, String(lanes));
  return { sample, reading: JSON.parse(sample.stdout) as Reading };
}

function wallOf(measured: readonly Measured[]): number {
  return median(measured.map((one) => one.reading.wallMs));
}

function callsOf(measured: readonly Measured[]): number {
  return median(measured.map((one) => one.reading.calls));
}

function asSample(one: Measured): Sample {
  return { ...one.sample, wallMs: one.reading.wallMs };
}
