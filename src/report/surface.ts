import { styleText } from 'node:util';

/** Where text goes, such as a stream of Node. */
export interface TextSink {
  write(text: string): unknown;
  /** Whether it is a terminal. */
  readonly isTTY?: boolean;
  /** The width of that terminal. */
  readonly columns?: number;
}

/** How text can be emphasized. */
export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan';

/** What is known of the place that text is for. */
export interface Surface {
  /** The width that text has to fit in; `undefined` when it is not for a terminal. */
  readonly columns: number | undefined;
  /** Emphasizes text, where the place shows colours and the user wants them. */
  paint(this: void, style: Style, text: string): string;
}

/** What a terminal has that does not say how wide it is. */
const USUAL_COLUMNS = 80;

/** Colours are for terminals that have them, and never with `NO_COLOR` (https://no-color.org). */
export function surfaceOf(sink: TextSink, env: Readonly<Record<string, string | undefined>>): Surface {
  const isTerminal = sink.isTTY === true;
  const hasColours = isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  return {
    columns: isTerminal ? sink.columns || USUAL_COLUMNS : undefined,
    paint: (style, text) => (hasColours ? styleText(style, text, { validateStream: false }) : text),
  };
}
