import { setTimeout as delay } from 'node:timers/promises';

import { fetchFailure, type FailedRequest } from './failure.ts';
import type { Headers } from './headers.ts';

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
const TRANSIENT_STATUSES: readonly number[] = [429, 500, 502, 503, 504];

/** Waits; rejects as soon as the signal is aborted. */
export type Sleep = (milliseconds: number, signal?: AbortSignal) => Promise<void>;

/** How often and how patiently something is tried again. */
export interface Patience {
  /** Tries after the first one. */
  readonly retries: number;
  readonly sleep: Sleep;
  /** From 0 up to, not including, 1: keeps hosts that failed together from coming back together. */
  readonly random: () => number;
}

/** Fills in what the caller left open: four retries, the real clock, real chance. */
export function defaultPatience(given: { [K in keyof Patience]?: Patience[K] | undefined }): Patience {
  return { retries: given.retries ?? 4, sleep: given.sleep ?? sleepFor, random: given.random ?? Math.random };
}

/** The wait before retry number `attempt` (from 0): 0.5 s doubled each time, at most 30 s, of which the upper half is chance. */
export function backoffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt);
  return ceiling * (0.5 + random() / 2);
}

/** Whether a status may be gone on the next try. */
export function isTransientStatus(status: number): boolean {
  return TRANSIENT_STATUSES.includes(status);
}

/**
 * What `Retry-After` asks for, at most 30 s and 0 when it says nothing usable. A date is compared with the response's
 * own `Date`, so that this host's clock does not matter.
 */
export function retryAfterMs(headers: Headers): number {
  const value = headers['retry-after']?.trim() ?? '';
  const milliseconds = /^\d+$/.test(value)
    ? Number(value) * 1000
    : Date.parse(value) - Date.parse(headers['date'] ?? '');
  return Number.isNaN(milliseconds) ? 0 : Math.min(Math.max(milliseconds, 0), LONGEST_DELAY_MS);
}

/** Waits between two tries. Rejects at once with the interruption when the request's signal is aborted. */
export async function pause(patience: Patience, waitMs: number, request: FailedRequest): Promise<void> {
  try {
    await patience.sleep(waitMs, request.signal);
  } catch (error) {
    throw fetchFailure(error, request);
  }
}

async function sleepFor(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, signal === undefined ? {} : { signal });
}
