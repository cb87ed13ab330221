import type { Argv } from 'yargs';
import { chainsTo } from '../core/chains.ts';
import type { ImageSummary } from '../core/image-summary.ts';
import { createResolver, type GraphNode, type UseGraph } from '../core/use-graph.ts';
import { seePool } from '../gather/judge-pool.ts';
import { findSeen } from '../gather/pool-nodes.ts';
import { showImage, type ImageDetails } from '../report/show-report.ts';
import type { Vocabulary } from '../report/image-report.ts';
import { readTasks } from '../state/tasks.ts';
import type { CommandContext } from './context.ts';
import { findImage, type FoundImage, imagesOf } from './find-image.ts';
import { summarizeImages, type SummaryFacts } from './image-summaries.ts';
import { statesOption } from './list.ts';
import { type ImageArguments, imageOptions, type Verb } from './options.ts';
import { openSession, type Session, withConnection } from './session.ts';

interface ShowArguments extends ImageArguments {
  readonly states: Vocabulary;
}

/** `show IMAGE`: tells everything that is known of an image. */
export function showCommand(context: CommandContext): Verb<ShowArguments> {
  return {
    builder: (yargs) => statesOption(imageOptions(yargs)) as unknown as Argv<ShowArguments>,
    handler: (options) =>
      withConnection(options, async (connection) => show(await openSession(context, options, connection), options)),
  };
}

/** Nothing is changed, whatever is found. */
async function show(session: Session, options: ShowArguments): Promise<void> {
  const { paths, context, reporter } = session;
  const { tasks } = await readTasks(paths.tasks);
  const sight = await seePool(session);
  const images = imagesOf(sight.view);
  const image = findImage(options.image, images);
  showImage(detailsOf(image, images, { sight, tasks, now: context.clock.now() }), options.states, reporter);
}

function detailsOf(image: FoundImage, images: readonly FoundImage[], facts: SummaryFacts): ImageDetails {
  const { gathered, view } = facts.sight;
  const { volumeName } = image;
  const isSnapshot = ({ record }: FoundImage): boolean => record?.traits?.snapshotOf === volumeName;
  const [summary, ...snapshots] = summarizeImages([image, ...images.filter(isSnapshot)], facts);
  const seen = findSeen(gathered.volumes, view.pool.name, volumeName);
  return {
    summary: summary as ImageSummary,
    pool: view.pool.name,
    path: seen?.volume.path,
    format: seen?.volume.format,
    tags: view.records.get(volumeName)?.tags ?? image.tags,
    bases: seen === undefined ? [] : basesOf(seen.node, gathered.graph),
    chains: seen === undefined ? [] : chainsTo(seen.node, gathered.graph, standing(seen.node, gathered.graph)),
    snapshots,
    tasks: facts.tasks.filter((task) => task.volumeName === volumeName),
  };
}

/** Other images may stand on it, and need no reason of their own to be told. */
function standing(node: GraphNode, { nodes }: UseGraph): ReadonlyMap<string, string> {
  return new Map(nodes.filter((other) => other !== node).map(({ id, label }) => [id, label]));
}

function basesOf(node: GraphNode, { nodes }: UseGraph): readonly GraphNode[] {
  const resolver = createResolver(nodes);
  const found = new Set<GraphNode>();
  const waiting = [node];
  for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
    const edges = at.edges.filter(({ isAlias = false }) => !isAlias);
    for (const base of edges.flatMap((edge) => resolver.targets(edge))) {
      if (base === node || found.has(base)) continue;
      found.add(base);
      waiting.push(base);
    }
  }
  return [...found];
}
