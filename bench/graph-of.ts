import { drawGraph } from '../src/gather/use-graph.ts';
import { createQemuImgInfo } from '../src/image-format/qemu-img.ts';
import { synthesise } from './synthetic-host.ts';

/** Draws the use graph of a synthetic host once; prints what that took and how large the graph is. */
const [domains = '', folder = ''] = process.argv.slice(2);
const inventory = await synthesise(Number(domains), folder);
const [start, cpu] = [performance.now(), process.cpuUsage()];
const readVolume = (): never => {
  throw new Error('every volume is a file');
};
const { graph } = await drawGraph(inventory, { isLocal: true, qemuImg: createQemuImgInfo(), readVolume });
const { user, system } = process.cpuUsage(cpu);
const result = { wallMs: performance.now() - start, cpuMs: (user + system) / 1000, nodes: graph.nodes.length };
process.stdout.write(JSON.stringify({ ...result, blindSpots: graph.blindSpots.length }));
