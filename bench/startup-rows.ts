import { measureNode, medianWallMs, PROGRAM, repeat } from './measure.ts';
import { addImages, withHost } from './host.ts';
import { atMost, type Floor, type Row, toRow } from './row.ts';

const RUNS = 9;

/** Node itself: no command can be faster. */
export async function nodeAlone(): Promise<Floor> {
  return { what: 'node -e 0', wallMs: medianWallMs(await repeat(RUNS, () => measureNode('-e', '0'))) };
}

/** `poolkeeper --help`. */
export async function helpRow(): Promise<Row> {
  const floor = await nodeAlone();
  const samples = await repeat(RUNS, () => measureNode(PROGRAM, '--help'));
  return toRow('--help', samples, floor, { goals: ({ ratio }) => [atMost('ratio', ratio, 2.2)] });
}

/** `poolkeeper query` with 2,000 images in the pool. */
export async function queryRow(): Promise<Row> {
  return withHost(async (world) => {
    await addImages(world, 2000);
    const floor = await nodeAlone();
    const samples = await repeat(5, () => measureNode(PROGRAM, 'query', ...world.options));
    const images = samples[0]?.stdout.split('\n').length ?? 0;
    return toRow('query, 2,000 images', samples, floor, {
      counted: { images: images - 1 },
      goals: ({ wallMs }) => [atMost('wall ms', wallMs, 300)],
    });
  });
}

/** `poolkeeper path` with one image in the pool: what scripts call before they define a domain. */
export async function pathRow(): Promise<Row> {
  return withHost(async (world) => {
    await addImages(world, 1);
    const [image = ''] = await world.volumes();
    const floor = await nodeAlone();
    const samples = await repeat(RUNS, () => measureNode(PROGRAM, 'path', image, ...world.options));
    return toRow('path', samples, floor, { goals: ({ ratio }) => [atMost('ratio', ratio, 2.2)] });
  });
}
