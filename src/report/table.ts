import stringWidth from 'string-width';
import { printableLine } from './printable.ts';
import type { Fields, Reporter } from './reporter.ts';
import type { Style, Surface } from './surface.ts';

/** One column of a table. */
export interface Column<Row> {
  readonly title: string;
  /** What stands in a cell; it may hold anything. */
  readonly text: (row: Row) => string;
  /** For numbers; everything else is aligned left. */
  readonly isRightAligned?: boolean;
  /** May be shortened to this many columns of the terminal, or to its title if that is wider. */
  readonly shrinksTo?: number;
  /** What tells cells apart is at their end, as in names of products: they are shortened in the middle. */
  readonly keepsEnd?: boolean;
  /** May be left out where shortening does not suffice: the last of these first. */
  readonly isOptional?: boolean;
  /** How a cell is emphasized on a terminal with colours. */
  readonly style?: (row: Row) => Style | undefined;
}

/** What to show for people, and for programs. */
export interface Table<Row> {
  /** Of each row in JSON. */
  readonly messageType: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  /** The facts of a row in JSON, all of them. */
  readonly fields: (row: Row) => Fields;
}

/** What stands between two columns. */
const GAP = '  ';

/**
 * Shows a table as an answer on standard output: with `--json` one object a row; on a terminal in its width; elsewhere
 * aligned, and every cell whole. Nothing is printed for a table without rows.
 */
export function showTable<Row>(table: Table<Row>, reporter: Reporter): void {
  if (table.rows.length === 0) return;
  reporter.rows(table.messageType, table.rows.map(table.fields), (surface) => renderTable(table, surface));
}

/** The text of a table, a line for the titles and one for each row. */
export function renderTable<Row>({ columns, rows }: Pick<Table<Row>, 'columns' | 'rows'>, surface: Surface): string {
  const sized = fit(columns.map(measured(rows)), surface.columns);
  const titles = lineOf(sized, ({ column }) => [column.title, 'bold'], surface);
  const lines = rows.map((row) =>
    lineOf(sized, ({ column }) => [printableLine(column.text(row)), column.style?.(row)], surface),
  );
  return [titles, ...lines].map((line) => `${line}\n`).join('');
}

interface SizedColumn<Row> {
  readonly column: Column<Row>;
  readonly width: number;
  readonly least: number;
}

function measured<Row>(rows: readonly Row[]): (column: Column<Row>) => SizedColumn<Row> {
  return (column) => {
    const title = stringWidth(column.title);
    let width = title;
    for (const row of rows) width = Math.max(width, stringWidth(printableLine(column.text(row))));
    const least = column.shrinksTo === undefined ? width : Math.min(width, Math.max(title, column.shrinksTo));
    return { column, width, least };
  };
}

/** Shortens the widest columns until the table fits; if that is not enough, the last optional column goes first. */
function fit<Row>(columns: readonly SizedColumn<Row>[], room: number | undefined): readonly SizedColumn<Row>[] {
  if (room === undefined) return columns;
  const left = room - GAP.length * (columns.length - 1);
  const dropped = columns.findLastIndex(({ column }) => column.isOptional === true);
  const leastWidth = sum(columns.map(({ least }) => least));
  if (leastWidth > left && dropped !== -1) return fit(columns.toSpliced(dropped, 1), room);
  const most = widestCell(columns, Math.max(left, leastWidth));
  return columns.map((column) => ({ ...column, width: capped(column, most) }));
}

/** The largest width to which columns can be cut down, each no further than it may, so that all of them fit. */
function widestCell<Row>(columns: readonly SizedColumn<Row>[], room: number): number {
  let [low, high] = [0, Math.max(...columns.map(({ width }) => width))];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (sum(columns.map((column) => capped(column, middle))) <= room) low = middle;
    else high = middle - 1;
  }
  return low;
}

function capped<Row>({ width, least }: SizedColumn<Row>, most: number): number {
  return Math.min(width, Math.max(least, most));
}

type Cell = readonly [text: string, style: Style | undefined];

function lineOf<Row>(
  columns: readonly SizedColumn<Row>[],
  cellOf: (column: SizedColumn<Row>) => Cell,
  { paint }: Surface,
): string {
  const cells = columns.map((sized) => {
    const [text, style] = cellOf(sized);
    const short = sized.column.keepsEnd === true ? shortenMiddle(text, sized.width) : shorten(text, sized.width);
    const padding = ' '.repeat(Math.max(0, sized.width - stringWidth(short)));
    const painted = style === undefined ? short : paint(style, short);
    return sized.column.isRightAligned === true ? padding + painted : painted + padding;
  });
  return cells.join(GAP).trimEnd();
}

/** The beginning of a text and an ellipsis, where the whole does not fit in `width` columns of a terminal. */
export function shorten(text: string, width: number): string {
  return stringWidth(text) <= width ? text : `${beginning(graphemesOf(text), width - 1)}…`;
}

/** A third of what fits from the beginning of a text, an ellipsis, and the rest from its end. */
export function shortenMiddle(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  const all = graphemesOf(text);
  const head = beginning(all, Math.floor((width - 1) / 3));
  const tail = beginning(all.toReversed(), width - 1 - stringWidth(head));
  return `${head}…${graphemesOf(tail).toReversed().join('')}`;
}

/** Made when needed: the first one of a process takes half as long as Node takes to start. */
function graphemesOf(text: string): readonly string[] {
  return [...new Intl.Segmenter().segment(text)].map(({ segment }) => segment);
}

/** As many of the graphemes as fit. */
function beginning(all: readonly string[], width: number): string {
  let [short, used] = ['', 0];
  for (const grapheme of all) {
    used += stringWidth(grapheme);
    if (used > width) break;
    short += grapheme;
  }
  return short;
}

function sum(numbers: readonly number[]): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
