/** How fast bytes have come of late. */
export class Pace {
  readonly #windowMs: number;
  #samples: { readonly atMs: number; readonly bytes: bigint }[] = [];

  /** @param windowMs how far back "of late" reaches */
  constructor(windowMs = 5000) {
    this.#windowMs = windowMs;
  }

  /** Notes how many bytes there are. Fewer than before are a new beginning. */
  note(atMs: number, bytes: bigint): void {
    if (bytes < (this.#samples.at(-1)?.bytes ?? 0n)) this.#samples = [];
    const since = this.#samples.findLastIndex((sample) => sample.atMs <= atMs - this.#windowMs);
    this.#samples = [...this.#samples.slice(Math.max(0, since)), { atMs, bytes }];
  }

  /** `undefined` until there is enough to tell. */
  get bytesPerSecond(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined;
    return (Number(last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs);
  }
}
