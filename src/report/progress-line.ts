import stringWidth from 'string-width';
import { formatBytes } from '../core/byte-size.ts';
import { formatDuration } from '../core/duration.ts';
import { printableLine } from './printable.ts';
import { shorten } from './table.ts';

/** How far a piece of work is. */
export interface Advance {
  readonly label: string;
  readonly elapsedMs: number;
  readonly doneBytes: bigint;
  /** `undefined` for work whose end cannot be foreseen. */
  readonly totalBytes: bigint | undefined;
  readonly bytesPerSecond: number | undefined;
}

const BAR_WIDTH = 16;
const SPINNER = ['|', '/', '-', '\\'];
const SPIN_MS = 250;

/** One line about a piece of work, not wider than `columns`: the label is shortened to what the figures leave. */
export function progressLine(advance: Advance, columns: number): string {
  const { label, totalBytes } = advance;
  const [figures, extra] = totalBytes === undefined ? spinnerFigures(advance) : transferFigures(advance, totalBytes);
  const name = printableLine(label);
  const hasRoom = stringWidth(name) + figures.length + extra.length + 2 <= columns;
  const behind = hasRoom ? figures + extra : figures;
  return `${shorten(name, Math.max(1, columns - behind.length - 2))}  ${behind}`.slice(0, Math.max(1, columns));
}

/** What is always shown, and what is shown where there is room. */
type Figures = readonly [always: string, extra: string];

function spinnerFigures({ elapsedMs }: Advance): Figures {
  const sign = SPINNER[Math.floor(elapsedMs / SPIN_MS) % SPINNER.length];
  return [`${sign}  ${formatDuration(elapsedMs)}`, ''];
}

function transferFigures({ doneBytes, bytesPerSecond }: Advance, totalBytes: bigint): Figures {
  const fraction = totalBytes === 0n ? 1 : Math.min(1, Number(doneBytes) / Number(totalBytes));
  const filled = Math.floor(fraction * BAR_WIDTH);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]`;
  const percent = `${Math.floor(fraction * 100)}%`.padStart(4);
  const rate = bytesPerSecond === undefined ? '' : `${formatBytes(BigInt(Math.round(bytesPerSecond)))}/s`;
  const left = remaining(totalBytes - doneBytes, bytesPerSecond);
  const sizes = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
  return [`${bar} ${percent} ${rate.padStart(11)} ${left.padStart(8)}`, `  ${sizes.padStart(22)}`];
}

/** Hours, minutes and seconds that are left, as clocks show them; never, when nothing comes, is a dash. */
function remaining(bytes: bigint, bytesPerSecond: number | undefined): string {
  if (bytesPerSecond === undefined) return '';
  const seconds = Math.ceil(Math.max(0, Number(bytes)) / bytesPerSecond);
  if (!(seconds < 360_000)) return '-:--';
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = String(seconds % 60).padStart(2, '0');
  return hours === 0 ? `${minutes}:${rest}` : `${hours}:${String(minutes).padStart(2, '0')}:${rest}`;
}
