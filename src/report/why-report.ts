import type { Chain, ChainLink } from '../core/chains.ts';
import type { Explanation } from '../core/explanation.ts';
import { decodeVolumeName, identityText } from '../core/identity.ts';
import type { BlindSpot } from '../core/reference.ts';
import type { ImageRecord } from '../core/record.ts';
import type { PoolVolume, Wait } from '../core/sweep-plan.ts';
import type { GraphNode } from '../core/use-graph.ts';
import { isoTime } from './iso-time.ts';
import { printableLine } from './printable.ts';
import type { Fields, Reporter } from './reporter.ts';

/** A volume or file, and what is known of its use. */
export interface Why {
  readonly node: GraphNode;
  readonly volume: PoolVolume | undefined;
  readonly record: ImageRecord | undefined;
  readonly explanation: Explanation;
}

/** Shows what keeps a volume: first the answer, then every chain, then what could not be seen. */
export function showWhy(why: Why, reporter: Reporter): void {
  const { chains, blindSpots } = why.explanation;
  reporter.data(linesOf(subjectLines(why)), 'subject', subjectFields(why));
  for (const chain of chains) reporter.data(`\n${linesOf(chainLines(chain))}`, 'chain', chainFields(chain));
  for (const spot of blindSpots) {
    const { what, cause, remedy } = spot;
    reporter.data(`\n${linesOf(blindSpotLines(spot))}`, 'blind_spot', { what, cause, remedy });
  }
}

function subjectLines(why: Why): readonly string[] {
  const { node, volume, record } = why;
  const identity = volume === undefined ? undefined : decodeVolumeName(volume.name);
  const image = identity === undefined ? '' : ` (image ${identityText(identity)})`;
  const path = volume?.path ?? node.paths[0] ?? '';
  return [
    `${node.label}${image}`,
    ...answerLines(why).map((line) => `  ${line}`),
    ...(node.label.endsWith(path) ? [] : [`  path: ${path}`]),
    ...(record === undefined ? [] : [`  status: ${record.status} since ${isoTime(record.times.statusSince)}`]),
  ];
}

/** The answer to the question, most important first. */
function answerLines({ record, explanation }: Why): readonly string[] {
  const { chains, cause, waits, isOfLastingType, blindSpots } = explanation;
  const since = record === undefined ? '' : ` since ${isoTime(record.times.lastNeededAt)}`;
  const waiting = waits.map(({ kind, eligibleAt }) => `${WAIT_TEXT[kind]}: kept until ${isoTime(eligibleAt)}`);
  return [
    chains.length > 0
      ? `needed through ${count(chains.length, 'reference')}`
      : `nothing that was seen needs it${since}`,
    ...(cause === undefined ? waiting : [`kept in any case: ${cause}`]),
    ...(isOfLastingType ? ['kept in any case: it is neither a file nor a block device'] : []),
    ...(blindSpots.length > 0 ? [`kept while ${count(blindSpots.length, 'thing')} could not be seen`] : []),
    ...(isDoomed(explanation) ? ['the next sweep deletes it'] : []),
  ];
}

const WAIT_TEXT: Readonly<Record<Wait['kind'], string>> = {
  grace: 'it was needed or offered until recently',
  young: 'it changed recently',
};

function subjectFields({ node, volume, record, explanation }: Why): Fields {
  const { chains, cause, waits, isOfLastingType } = explanation;
  const identity = volume === undefined ? undefined : decodeVolumeName(volume.name);
  return {
    subject: node.label,
    pool: volume?.pool,
    volume: volume?.name,
    path: volume?.path ?? node.paths[0],
    ...identity,
    is_needed: chains.length > 0,
    is_doomed: isDoomed(explanation),
    kept_because: cause ?? (isOfLastingType ? 'volume type' : undefined),
    ...waitFields(waits),
    ...recordFields(record),
  };
}

function waitFields(waits: readonly Wait[]): Fields {
  return waits.length === 0 ? {} : { eligible_at: isoTime(Math.max(...waits.map(({ eligibleAt }) => eligibleAt))) };
}

function recordFields(record: ImageRecord | undefined): Fields {
  if (record === undefined) return {};
  const { status, times } = record;
  return { status, status_since: isoTime(times.statusSince), last_needed_at: isoTime(times.lastNeededAt) };
}

function isDoomed({ chains, cause, waits, isOfLastingType, blindSpots }: Explanation): boolean {
  return chains.length + waits.length + blindSpots.length === 0 && cause === undefined && !isOfLastingType;
}

/** What stays, then each link below, one step further in. */
function chainLines({ cause, links }: Chain): readonly string[] {
  const outermost = links[0]?.from.label ?? cause;
  return [
    outermost === cause ? cause : `${outermost}, which stays: ${cause}`,
    ...links.map((link, index) => `${'  '.repeat(index + 1)}needs ${linkText(link)}`),
  ];
}

function linkText({ edge, to }: ChainLink): string {
  const { document, reference } = edge;
  return `${to.label} (${document}, ${reference.evidence}: ${reference.value})`;
}

function chainFields({ cause, links }: Chain): Fields {
  return {
    root: links[0]?.from.label,
    cause,
    links: links.map(({ from, to, edge }) => ({
      from: from.label,
      to: to.label,
      document: edge.document,
      evidence: edge.reference.evidence,
      kind: edge.reference.kind,
      value: edge.reference.value,
    })),
  };
}

function blindSpotLines({ what, cause, remedy }: BlindSpot): readonly string[] {
  return [`could not see ${what}`, `  because ${cause}`, `  remedy: ${remedy}`];
}

function linesOf(lines: readonly string[]): string {
  return lines.map(printableLine).join('\n');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
