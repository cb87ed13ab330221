/** One moment on a host, as its clocks tell it. */
export interface ClockReading {
  /** By the wall clock, in milliseconds since the epoch. */
  readonly now: number;
  /** Since the boot, sleep included, in milliseconds. */
  readonly uptime: number;
  /** The boot's name. Two equal names are one boot; two that differ prove nothing, since a container has one of its own. */
  readonly bootId: string;
}

/** What one boot can add to the time before it, where nobody counted. */
export const MAX_GAP_MS = 86_400_000;

/**
 * How long a host has lived between two readings, in milliseconds. Within one boot the clock counts that nobody can set; from
 * one boot to the next it is the wall clock, for nothing at least and a day at most. Where it is not known whether the boot
 * is the same, the smaller of both counts.
 */
export function livedBetween(then: ClockReading, now: ClockReading): number {
  const withinBoot = now.uptime - then.uptime;
  if (then.bootId === now.bootId) return Math.max(0, withinBoot);
  const acrossBoots = now.uptime + clamp(now.now - then.now - now.uptime, 0, MAX_GAP_MS);
  return withinBoot < 0 ? acrossBoots : Math.min(withinBoot, acrossBoots);
}

/** A time from which on the wall clock and the count went alike. */
export interface LivedSpan {
  /** What the wall clock said at the beginning. */
  readonly wall: number;
  /** How much was counted by then, in milliseconds. */
  readonly lived: number;
}

/** The time that a host has lived since the count began, and what the wall clock said meanwhile. */
export interface LivedCount {
  /** In the order in which they came; never empty. */
  readonly spans: readonly LivedSpan[];
  readonly last: ClockReading & { readonly lived: number };
}

/** Clocks that differ by less were not set, only read one after the other. */
const TOLERANCE_MS = 5000;

/** More often than this no clock is set that is of any use; the oldest spans are forgotten. */
const MAX_SPANS = 500;

/** The count after another reading. */
export function countLived(count: LivedCount | undefined, reading: ClockReading): LivedCount {
  if (count === undefined) return { spans: [{ wall: reading.now, lived: 0 }], last: { ...reading, lived: 0 } };
  const lived = count.last.lived + livedBetween(count.last, reading);
  const last = { ...reading, lived };
  const span = count.spans.at(-1);
  const isSet = span === undefined || Math.abs(reading.now - span.wall - (lived - span.lived)) > TOLERANCE_MS;
  return { spans: isSet ? [...count.spans, { wall: reading.now, lived }].slice(-MAX_SPANS) : count.spans, last };
}

/**
 * How long the host has lived since the wall clock said `time`, as of the last reading. Where the clock said so more than
 * once, the last time counts. What lies before the count counts for a day at most. Never more than the wall clock says now.
 */
export function livedSince({ spans, last }: LivedCount, time: number): number {
  const index = spans.findLastIndex(({ wall }) => wall <= time);
  const span = spans[index];
  const byWall = last.now - time;
  if (span === undefined) {
    const [first] = spans;
    const before = first === undefined ? 0 : clamp(first.wall - time, 0, MAX_GAP_MS);
    return Math.min(byWall, before + last.lived - (first?.lived ?? last.lived));
  }
  const end = spans[index + 1]?.lived ?? last.lived;
  return Math.min(byWall, last.lived - Math.min(span.lived + (time - span.wall), end));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
