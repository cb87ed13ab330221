import { IMAGE_STATUSES, type ImageStatus } from '../core/lifecycle.ts';
import type { RunNote } from '../core/run-note.ts';

/** What a pool holds, for a monitoring system. */
export interface PoolFigures {
  readonly pool: string;
  /** Of records, by status. */
  readonly images: ReadonlyMap<ImageStatus, number>;
  readonly offeredImages: number;
  /** What all images of the pool take up. */
  readonly heldBytes: bigint;
  /** What of it nothing needs, whether or not it is still waited for. */
  readonly reclaimableBytes: bigint;
  /** What of deleted images still lies in the trash. */
  readonly trashBytes: bigint;
  /** When the last of it is freed, in milliseconds since the epoch; `undefined`: the trash is empty. */
  readonly trashFreedAt: number | undefined;
  /** How many things could not be seen that may need images. */
  readonly blindSpots: number;
  /** The time of the newest document of each source in milliseconds since the epoch, by the source's address. */
  readonly documents: ReadonlyMap<string, number>;
}

/** What is known at the end of a run; `figures` are missing if the pool could not be looked at. */
export interface Metrics {
  readonly version: string;
  readonly runs: readonly RunNote[];
  readonly figures: PoolFigures | undefined;
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number | bigint;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** What counts as a kind of failure even when there is none of it, so that a query finds a zero and not nothing. */
const FAILURE_KINDS = ['libvirt', 'source', 'trust', 'incomplete_view', 'locked', 'integrity', 'in_use', 'no_space'];

/**
 * The metrics as text that is valid both as Prometheus' exposition format and as OpenMetrics 1.0: gauges only, without
 * time stamps.
 */
export function metricsText(metrics: Metrics): string {
  const info = {
    name: 'build_info',
    help: 'The version of poolkeeper.',
    samples: [labelled({ version: metrics.version }, 1)],
  };
  const families = [info, ...runFamilies(metrics.runs), ...(metrics.figures ? poolFamilies(metrics.figures) : [])];
  const text = families.filter(({ samples }) => samples.length > 0).map(familyText);
  return `${text.join('')}# EOF\n`;
}

function runFamilies(runs: readonly RunNote[]): readonly Family[] {
  const each = (value: (run: RunNote) => number | undefined): readonly Sample[] =>
    runs.flatMap((run) => {
      const known = value(run);
      return known === undefined ? [] : [labelled({ command: run.command, pool: run.pool }, known)];
    });
  return [
    {
      name: 'last_run_timestamp_seconds',
      help: 'When the last run ended.',
      samples: each(({ endedAt }) => endedAt / 1000),
    },
    {
      name: 'last_success_timestamp_seconds',
      help: 'When a run last ended with status 0.',
      samples: each(({ succeededAt }) => (succeededAt === undefined ? undefined : succeededAt / 1000)),
    },
    {
      name: 'last_run_exit_status',
      help: 'The exit status of the last run, as in the manual.',
      samples: each(({ exitStatus }) => exitStatus),
    },
    {
      name: 'last_run_duration_seconds',
      help: 'How long the last run took.',
      samples: each(({ startedAt, endedAt }) => Math.max(0, endedAt - startedAt) / 1000),
    },
    { name: 'last_run_failures', help: 'Failures of the last run by kind.', samples: runs.flatMap(failureSamples) },
  ];
}

function failureSamples({ command, pool, failures }: RunNote): readonly Sample[] {
  const kinds = [...new Set([...FAILURE_KINDS, ...Object.keys(failures).toSorted()])];
  return kinds.map((kind) => labelled({ command, pool, kind }, failures[kind] ?? 0));
}

function poolFamilies(figures: PoolFigures): readonly Family[] {
  const { pool, images, documents } = figures;
  const one = (value: number | bigint): readonly Sample[] => [labelled({ pool }, value)];
  return [
    {
      name: 'images',
      help: 'Images by status.',
      samples: IMAGE_STATUSES.filter((status) => status !== 'deleted').map((status) =>
        labelled({ pool, status }, images.get(status) ?? 0),
      ),
    },
    { name: 'images_offered', help: 'Images that are offered to new domains.', samples: one(figures.offeredImages) },
    { name: 'held_bytes', help: 'What the images of the pool take up.', samples: one(figures.heldBytes) },
    { name: 'reclaimable_bytes', help: 'What of it nothing needs.', samples: one(figures.reclaimableBytes) },
    {
      name: 'trash_bytes',
      help: 'What deleted images take up that can be brought back.',
      samples: one(figures.trashBytes),
    },
    {
      name: 'trash_freed_timestamp_seconds',
      help: 'When all that lies in the trash is freed.',
      samples: figures.trashFreedAt === undefined ? [] : one(figures.trashFreedAt / 1000),
    },
    { name: 'blind_spots', help: 'Things that may need images and cannot be seen.', samples: one(figures.blindSpots) },
    {
      name: 'source_document_timestamp_seconds',
      help: 'When the newest accepted document of a source was published.',
      samples: [...documents].map(([source, atMs]) => labelled({ pool, source }, atMs / 1000)),
    },
  ];
}

function labelled(labels: Sample['labels'], value: Sample['value']): Sample {
  return { labels, value };
}

function familyText({ name, help, samples }: Family): string {
  const full = `poolkeeper_${name}`;
  const lines = samples.map(({ labels, value }) => `${full}${labelsText(labels)} ${value}\n`);
  return `# HELP ${full} ${help}\n# TYPE ${full} gauge\n${lines.join('')}`;
}

function labelsText(labels: Sample['labels']): string {
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
