import { median, medianWallMs, type Sample } from './measure.ts';

/** One line of the result. */
export interface Row {
  readonly name: string;
  readonly runs: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakRssMiB: number;
  /** What the work is held against, measured in the same run. */
  readonly floor: string;
  readonly floorMs: number;
  /** Wall time through the floor's. */
  readonly ratio: number;
  /** What else was counted. */
  readonly counted: Readonly<Record<string, number>>;
  readonly goals: readonly Goal[];
}

/** Something that a row promises. */
export interface Goal {
  readonly text: string;
  readonly isMet: boolean;
}

export interface Floor {
  readonly what: string;
  readonly wallMs: number;
}

/** A row from the samples of a Node program. */
export function toRow(
  name: string,
  samples: readonly Sample[],
  floor: Floor,
  {
    counted = {},
    goals,
  }: { counted?: Row['counted']; goals: (row: { wallMs: number; ratio: number }) => readonly Goal[] },
): Row {
  const usages = samples.flatMap(({ usage }) => usage ?? []);
  const wallMs = medianWallMs(samples);
  const ratio = wallMs / floor.wallMs;
  return {
    name,
    runs: samples.length,
    wallMs,
    cpuMs: median(usages.map(({ cpuMs }) => cpuMs)),
    peakRssMiB: median(usages.map(({ peakRssBytes }) => peakRssBytes)) / 2 ** 20,
    floor: floor.what,
    floorMs: floor.wallMs,
    ratio,
    counted,
    goals: goals({ wallMs, ratio }),
  };
}

/** A goal that a figure may not exceed. */
export function atMost(what: string, found: number, limit: number): Goal {
  return { text: `${what} <= ${limit}`, isMet: found <= limit };
}

/** All rows as a Markdown table. */
export function table(rows: readonly Row[]): string {
  const head = ['work', 'wall ms', 'CPU ms', 'peak RSS MiB', 'floor', 'floor ms', 'ratio', 'counted', 'goal'];
  const lines = rows.map((row) => [
    `${row.name} (${row.runs} runs)`,
    row.wallMs.toFixed(0),
    row.cpuMs.toFixed(0),
    row.peakRssMiB.toFixed(0),
    row.floor,
    row.floorMs.toFixed(0),
    row.ratio.toFixed(2),
    Object.entries(row.counted)
      .map(([what, value]) => `${what} ${Number(value.toFixed(3))}`)
      .join(', '),
    row.goals.map(({ text, isMet }) => `${text}: ${isMet ? 'met' : 'MISSED'}`).join(', '),
  ]);
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
