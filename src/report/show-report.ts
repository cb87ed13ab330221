import { formatBytes } from '../core/byte-size.ts';
import type { Chain } from '../core/chains.ts';
import { identityText } from '../core/identity.ts';
import { displayNameOf, type ImageSummary, originOf } from '../core/image-summary.ts';
import type { Pin } from '../core/record.ts';
import type { Task } from '../core/task.ts';
import type { GraphNode } from '../core/use-graph.ts';
import { imageFields, statusText, typeText, usageText, type Vocabulary } from './image-report.ts';
import { isoTime } from './iso-time.ts';
import { printableLine } from './printable.ts';
import type { Fields, Reporter } from './reporter.ts';
import { taskFields, taskLine } from './task-report.ts';

/** Everything that is known of one image. */
export interface ImageDetails {
  readonly summary: ImageSummary;
  readonly pool: string;
  readonly path: string | undefined;
  readonly format: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** The images that it stands on, the nearest first. */
  readonly bases: readonly GraphNode[];
  /** What needs it, with the evidence. */
  readonly chains: readonly Chain[];
  /** Snapshots of it. */
  readonly snapshots: readonly ImageSummary[];
  /** What was done with it lately, or is being done, the newest first. */
  readonly tasks: readonly Task[];
}

/** Shows everything about one image: in JSON one object, as `schemas/messages.schema.json` describes. */
export function showImage(details: ImageDetails, vocabulary: Vocabulary, reporter: Reporter): void {
  const lines = [...headLines(details, vocabulary), ...listLines(details)].map(printableLine);
  reporter.data(lines.join('\n'), 'image', detailFields(details));
}

function headLines(details: ImageDetails, vocabulary: Vocabulary): readonly string[] {
  const { summary, pool, path, format } = details;
  const { volumeName, identity, record } = summary;
  return [
    `image ${identityText(identity)}`,
    ...labelled('name', displayNameOf(summary)),
    ...labelled('volume', `${pool}/${volumeName}`),
    ...labelled('path', path),
    ...labelled('status', statusLine(summary, vocabulary)),
    ...labelled('reason', record?.reason),
    ...labelled('offered', summary.isOffered ? 'yes' : 'no'),
    ...labelled('usage', usageText(summary)),
    ...labelled('type', typeText(summary)),
    ...labelled('snapshot of', record?.traits?.snapshotOf),
    ...labelled('size', sizeText(summary, format)),
    ...labelled('created', isoTime(summary.createdAt)),
    ...labelled('last needed', isoTime(record?.times.lastNeededAt)),
    ...labelled('locked', summary.isLocked ? lockText(record?.pin) : undefined),
    ...provenanceLines(summary),
  ];
}

function statusLine(summary: ImageSummary, vocabulary: Vocabulary): string {
  const since = isoTime(summary.record?.times.statusSince);
  return statusText(summary, vocabulary) + (since === undefined ? '' : ` since ${since}`);
}

function provenanceLines(summary: ImageSummary): readonly string[] {
  const { itemPath, signer, digest, deliveredDigest, broughtBy } = summary.record?.provenance ?? {};
  return [
    ...labelled('source', originOf(summary)),
    ...labelled('item', itemPath),
    ...labelled('signed by', signer),
    ...labelled('brought by', broughtBy),
    ...labelled(digest?.algorithm ?? 'digest', digest?.hex),
    ...labelled(`delivered ${deliveredDigest?.algorithm ?? ''}`, deliveredDigest?.hex),
  ];
}

function listLines({ tags, bases, chains, snapshots, tasks }: ImageDetails): readonly string[] {
  return [
    ...section(
      'tags',
      Object.entries(tags)
        .map(([key, value]) => `${key}=${value}`)
        .toSorted(),
    ),
    ...section(
      'stands on',
      bases.map(({ label }) => label),
    ),
    ...section('needed by', chains.map(userText)),
    ...section(
      'snapshots',
      snapshots.map((snapshot) => `${displayNameOf(snapshot)} (${usageText(snapshot)})`),
    ),
    ...section('tasks', tasks.map(taskLine)),
  ];
}

/** Who needs it, by way of what, and where that was read. */
function userText({ cause, links }: Chain): string {
  const [first, ...others] = links;
  const through = others.map(({ from }) => from.label).join(', ');
  const evidence = first === undefined ? '' : ` (${first.edge.document}, ${first.edge.reference.evidence})`;
  return `${first?.from.label ?? cause}${through === '' ? '' : ` through ${through}`}${evidence}`;
}

function labelled(label: string, value: string | undefined): readonly string[] {
  return value === undefined ? [] : [`  ${`${label}:`.padEnd(14)} ${value}`];
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`  ${title}:`, ...lines.map((line) => `    ${line}`)];
}

function sizeText({ sizeBytes, capacityBytes }: ImageSummary, format: string | undefined): string | undefined {
  if (sizeBytes === undefined) return undefined;
  const virtual = capacityBytes === undefined ? '' : `, ${formatBytes(capacityBytes)} virtual`;
  return `${formatBytes(sizeBytes)}${virtual}${format === undefined ? '' : `, ${format}`}`;
}

function lockText(pin: Pin | undefined): string {
  const since = pin === undefined ? '' : ` since ${isoTime(pin.since)}`;
  const until = pin?.until === undefined ? '' : ` until ${isoTime(pin.until)}`;
  return `yes${since}${until}${pin?.reason === undefined ? '' : `: ${pin.reason}`}`;
}

function detailFields(details: ImageDetails): Fields {
  const { summary, pool, path, format, tags, bases, chains, snapshots, tasks } = details;
  const { pin, times, provenance } = summary.record ?? {};
  return {
    ...imageFields(summary),
    pool,
    path,
    format,
    last_needed_at: isoTime(times?.lastNeededAt),
    lock: summary.isLocked && pin !== undefined ? lockFields(pin) : undefined,
    provenance: provenance && provenanceFields(provenance),
    tags,
    stands_on: bases.map(({ label, paths }) => ({ label, path: paths[0] })),
    needed_by: chains.map(chainFields),
    snapshots: snapshots.map(({ volumeName }) => volumeName),
    tasks: tasks.map(taskFields),
  };
}

function lockFields({ reason, since, until }: Pin): Fields {
  return { reason, since: isoTime(since), until: isoTime(until) };
}

function provenanceFields(provenance: NonNullable<ImageSummary['record']>['provenance']): Fields {
  const { source, itemPath, sizeBytes, digest, deliveredDigest, signer, broughtBy } = provenance;
  const file = { source, item: itemPath, size_bytes: sizeBytes, digest, delivered_digest: deliveredDigest };
  return { ...file, signer, brought_by: broughtBy };
}

function chainFields({ cause, links }: Chain): Fields {
  const [first, ...others] = links;
  const reference = first?.edge.reference;
  return {
    user: first?.from.label ?? cause,
    cause,
    through: others.map(({ from }) => from.label),
    document: first?.edge.document,
    evidence: reference?.evidence,
    value: reference?.value,
  };
}
