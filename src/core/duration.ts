import { UsageError } from '../errors.ts';

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  '': 1000,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** A hundred years: any moment that far off can still be written as a date. */
const LONGEST_MS = 36_500 * 86_400_000;

/**
 * A period of time in milliseconds, from text such as `90`, `2h`, `1h30m` or `7d`. A plain number is in seconds.
 *
 * @throws UsageError naming the option.
 */
export function parseDuration(text: string, option: string): number {
  const parts = [...text.matchAll(/(\d{1,12})(ms|min|[smhdw]?)/gy)];
  const length = parts.reduce((sum, [part]) => sum + part.length, 0);
  const isPlain = parts.every(([, , unit]) => unit !== '') || parts.length === 1;
  if (parts.length === 0 || length !== text.length || !isPlain) {
    throw new UsageError(`'${text}' is not a duration for ${option}`, {
      hint: 'write seconds, or a number with s, m, h, d or w, such as 2h or 1h30m',
    });
  }
  const milliseconds = parts.reduce((sum, [, number = '', unit = '']) => sum + Number(number) * (UNITS[unit] ?? 0), 0);
  if (milliseconds > LONGEST_MS)
    throw new UsageError(`'${text}' is too long for ${option}`, { hint: 'at most 36500d' });
  return milliseconds;
}

const SHOWN = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** A period in the two largest units that it fills, e.g. `1h 59min`; less than a second is `0s`. */
export function formatDuration(milliseconds: number): string {
  let rest = milliseconds;
  const parts = SHOWN.flatMap(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? [`${count}${unit}`] : [];
  });
  return parts.length > 0 ? parts.slice(0, 2).join(' ') : '0s';
}
