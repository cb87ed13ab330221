import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chart, type Curve } from './chart.ts';
import { addImages, publish, withHost } from './host.ts';
import { measure, measureNode, median, PROGRAM, repeat, type Sample } from './measure.ts';
import { CONTENT_ID, type Tier } from './products-document.ts';

const GRAPH = fileURLToPath(new URL('graph-of.js', import.meta.url));
const READER = fileURLToPath(new URL('read-document.js', import.meta.url));
const PICTURE = fileURLToPath(new URL('../../bench/scaling.svg', import.meta.url));
const DOMAINS = [100, 300, 1000, 3000, 10_000];
const IMAGES = [10, 100, 1000, 10_000];
/** Serials of the live series, for documents of about 1, 4, 15 and 40 MB. */
const DOCUMENTS: readonly Tier['serials'][] = [
  [18, 10, 2],
  [100, 58, 9],
  [391, 226, 35],
  [1060, 613, 95],
];
const RUNS = 3;

/** How what is done often grows with what there is, in CPU time; draws `bench/scaling.svg` and returns a table. */
export async function scaling(): Promise<string> {
  const curves = [await graphCurve(), await queryCurve(), ...(await documentCurves())];
  await writeFile(PICTURE, chart(curves));
  const lines = curves.flatMap(({ name, unit, points }) =>
    points.map(([x, y]) => `| ${name} | ${x} ${unit} | ${y.toFixed(0)} |`),
  );
  const slopes = curves.map((curve) => `- ${curve.name}: ${slopeOf(curve)}`);
  return ['| work | size | CPU ms |', '| --- | --- | --- |', ...lines, '', ...slopes].join('\n');
}

/** Gathering alone: the inventory is made up, the files are real. The largest has 10,000 domains on 20,001 volumes. */
async function graphCurve(): Promise<Curve> {
  const points: [number, number][] = [];
  for (const domains of DOMAINS) {
    const folder = await mkdtemp(join(tmpdir(), 'pk-bench-'));
    try {
      const drawn = await repeat(RUNS, async () =>
        JSON.parse((await measureNode(GRAPH, String(domains), folder)).stdout),
      );
      points.push([domains, median(drawn.map(({ cpuMs }: { cpuMs: number }) => cpuMs))]);
    } finally {
      await rm(folder, { recursive: true });
    }
  }
  return { name: 'use graph, synthetic host', unit: 'domains', points };
}

async function queryCurve(): Promise<Curve> {
  const points: [number, number][] = [];
  for (const images of IMAGES) {
    await withHost(async (world) => {
      await addImages(world, images);
      points.push([images, cpuOf(await repeat(RUNS, () => measureNode(PROGRAM, 'query', ...world.options)))]);
    });
  }
  return { name: 'query', unit: 'images', points };
}

/** The first reading of a signed document, and gpgv, which only verifies it. */
async function documentCurves(): Promise<readonly Curve[]> {
  const first: [number, number][] = [];
  const gpgv: [number, number][] = [];
  await withHost(async (world) => {
    for (const serials of DOCUMENTS) {
      await publish(world, { serials, olderProducts: 0 }, 2 ** 20);
      const path = join(world.mirror, `streams/v1/${CONTENT_ID}.sjson`);
      const megabytes = Number(((await stat(path)).size / 1e6).toFixed(1));
      const read = await repeat(RUNS, () => measureNode(READER, world.mirror, world.keyring));
      const verified = await repeat(RUNS, () => measure('gpgv', ['--keyring', world.keyring, path]));
      first.push([megabytes, cpuOf(read)]);
      gpgv.push([megabytes, median(verified.map(({ wallMs }) => wallMs))]);
    }
  });
  return [
    { name: 'first reading of a signed document', unit: 'MB', points: first },
    { name: 'gpgv alone, wall time', unit: 'MB', points: gpgv },
  ];
}

function cpuOf(samples: readonly Sample[]): number {
  return median(samples.map(({ usage }) => usage?.cpuMs ?? NaN));
}

/** Least squares; and the exponent between the last two points, which is 1 for what is linear, and 2 for what is quadratic. */
function slopeOf({ points, unit }: Curve): string {
  const n = points.length;
  const sum = (of: (x: number, y: number) => number): number => points.reduce((all, [x, y]) => all + of(x, y), 0);
  const [sx, sy, sxy, sxx] = [sum((x) => x), sum((_x, y) => y), sum((x, y) => x * y), sum((x) => x * x)];
  const slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
  const [[x1, y1] = [1, 1], [x2, y2] = [1, 1]] = points.slice(-2);
  const exponent = Math.log(y2 / y1) / Math.log(x2 / x1);
  const fixed = (sy - slope * sx) / n;
  return `${slope.toFixed(3)} ms per ${unit.replace(/s$/, '')} and ${fixed.toFixed(0)} ms, exponent at the end ${exponent.toFixed(2)}`;
}
