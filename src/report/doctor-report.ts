import type { CheckedFinding, FindingLevel } from '../core/finding.ts';
import { printableLine } from './printable.ts';
import type { Reporter } from './reporter.ts';
import type { Style, Surface } from './surface.ts';

const STYLES: Readonly<Record<FindingLevel, Style>> = { ok: 'green', warning: 'yellow', problem: 'red' };
/** As wide as the widest level. */
const LEVEL_WIDTH = 'warning'.length;
const GAP = '  ';

/** Shows findings, each with what mends it; those that are in order only if `isBrief` is false. */
export function showFindings(findings: readonly CheckedFinding[], isBrief: boolean, reporter: Reporter): void {
  const shown = isBrief ? findings.filter(({ level }) => level !== 'ok') : findings;
  if (shown.length === 0) return;
  const rows = shown.map(({ check, level, message, fix }) => ({ check, level, message, fix }));
  reporter.rows('finding', rows, (surface) => findingsText(shown, surface));
}

/** The text of findings: level, check and message; what mends it stands below, in a column with the message. */
export function findingsText(findings: readonly CheckedFinding[], surface: Surface): string {
  const checkWidth = Math.max(...findings.map(({ check }) => check.length));
  return findings.map((finding) => findingText(finding, checkWidth, surface)).join('');
}

function findingText({ check, level, message, fix }: CheckedFinding, checkWidth: number, surface: Surface): string {
  const indent = LEVEL_WIDTH + checkWidth + 2 * GAP.length;
  const width = surface.columns === undefined ? undefined : surface.columns - indent;
  // A command to copy stays on one line.
  const lines = [...wrap(printableLine(message), width), ...(fix === undefined ? [] : [`fix: ${printableLine(fix)}`])];
  const head =
    surface.paint(STYLES[level], level) + ' '.repeat(LEVEL_WIDTH - level.length) + GAP + check.padEnd(checkWidth) + GAP;
  return `${head}${lines.join(`\n${' '.repeat(indent)}`)}\n`;
}

/** Breaks a text at blanks so that it fits in `width` columns, as far as its words allow; `undefined` is room for all. */
function wrap(text: string, width: number | undefined): readonly string[] {
  if (width === undefined) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
