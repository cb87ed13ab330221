/** What is remembered of the last run of a command on a pool. */
export interface RunNote {
  readonly command: string;
  readonly pool: string;
  /** In milliseconds since the epoch, as all times here. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly exitStatus: number;
  /** When a run last ended with status 0; `undefined`: never, as far as is known. */
  readonly succeededAt: number | undefined;
  /** How many failures of each kind there were, a kind being the code of an error without `POOLKEEPER_`. */
  readonly failures: Readonly<Record<string, number>>;
}
