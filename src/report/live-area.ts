import type { MultiBar, SingleBar } from 'cli-progress';
import type { Progress, ProgressTask } from '../core/ports.ts';
import { Pace } from './pace.ts';
import { progressLine } from './progress-line.ts';
import type { TextSink } from './surface.ts';

/** What takes less time than this is not worth a line. */
const WORTH_SHOWING_MS = 400;
/** Often enough to look alive, and seldom enough for a serial console. */
const REDRAW_MS = 250;
/** Moves the cursor nowhere, and erases everything behind it (ECMA-48, ED). */
const ERASE_BELOW = '\u001b[J';

/** What is known of a piece of work that goes on. */
interface LiveTask {
  readonly label: string;
  readonly totalBytes: bigint | undefined;
  readonly startedMs: number;
  readonly pace: Pace;
  doneBytes: bigint;
  bar: SingleBar | undefined;
}

/**
 * The last lines of a terminal, one for each piece of long work. All other text for terminals has to pass through
 * `printAbove`. The lines are gone once all work has ended.
 */
export class LiveArea implements Progress {
  readonly #sink: TextSink;
  readonly #tasks = new Set<LiveTask>();
  #bars: MultiBar | undefined;
  #waiting: (() => void)[] = [];

  /** @param sink a terminal */
  constructor(sink: TextSink) {
    this.#sink = sink;
  }

  start(label: string, totalBytes?: bigint): ProgressTask {
    const startedMs = performance.now();
    const task: LiveTask = { label, totalBytes, startedMs, pace: new Pace(), doneBytes: 0n, bar: undefined };
    this.#tasks.add(task);
    const timer = setTimeout(() => void this.#show(task), WORTH_SHOWING_MS).unref();
    return {
      reach: (bytes) => {
        task.doneBytes = bytes;
      },
      end: () => {
        clearTimeout(timer);
        this.#hide(task);
      },
    };
  }

  /** Lets `write` write whole lines, which then stand above the live ones. */
  printAbove(write: () => void): void {
    if (this.#bars === undefined) return write();
    this.#waiting.push(write);
    this.#bars.update();
  }

  /** Adds a line, unless the work ended while the library was loaded. */
  async #show(task: LiveTask): Promise<void> {
    // No work depends on its line: without the library there is none.
    const library = await import('cli-progress').then(
      ({ default: loaded }) => loaded,
      () => undefined,
    );
    if (library === undefined || !this.#tasks.has(task)) return;
    this.#bars ??= this.#open(new library.MultiBar(this.#options()));
    task.bar = this.#bars.create(1, 0, task);
  }

  #options(): ConstructorParameters<typeof MultiBar>[0] {
    const sink = this.#sink;
    return {
      // Of a stream, the library uses what a TextSink has.
      stream: sink as TextSink & NodeJS.WritableStream,
      fps: 1000 / REDRAW_MS,
      clearOnComplete: true,
      // Lines above the live ones must wrap as ever; the live ones never are that long.
      linewrap: true,
      forceRedraw: true,
      gracefulExit: false,
      format: (_options, { maxWidth }, task: LiveTask) => lineOf(task, maxWidth - 1),
    };
  }

  #open(bars: MultiBar): MultiBar {
    bars.on('redraw-pre', () => {
      if (this.#waiting.length === 0) return;
      this.#sink.write(ERASE_BELOW);
      for (const write of this.#waiting) write();
      this.#waiting = [];
    });
    return bars;
  }

  #hide(task: LiveTask): void {
    this.#tasks.delete(task);
    const bars = this.#bars;
    if (bars === undefined || task.bar === undefined) return;
    if ([...this.#tasks].some(({ bar }) => bar !== undefined)) bars.remove(task.bar);
    else {
      bars.stop();
      this.#bars = undefined;
    }
  }
}

/** The pace is taken whenever a line is drawn, which is evenly. */
function lineOf({ label, totalBytes, startedMs, pace, doneBytes }: LiveTask, columns: number): string {
  const nowMs = performance.now();
  pace.note(nowMs, doneBytes);
  const { bytesPerSecond } = pace;
  return progressLine({ label, totalBytes, doneBytes, bytesPerSecond, elapsedMs: nowMs - startedMs }, columns);
}
