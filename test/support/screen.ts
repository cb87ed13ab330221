import headless from '@xterm/headless';

/**
 * What a terminal of some size shows once it was sent some text: its lines from the first on, without blank ones at the end.
 *
 * @param isJoined whether a line that went on in the next row is one again.
 */
export async function screenOf(
  text: string,
  { columns = 80, rows = 24, isJoined = false } = {},
): Promise<readonly string[]> {
  const terminal = new headless.Terminal({ cols: columns, rows, allowProposedApi: true });
  await new Promise<void>((resolve) => {
    terminal.write(text, resolve);
  });
  const lines = linesOf(terminal.buffer.active, isJoined);
  terminal.dispose();
  return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1);
}

function linesOf(buffer: headless.IBuffer, isJoined: boolean): readonly string[] {
  const lines: string[] = [];
  for (let index = 0; index < buffer.length; index += 1) {
    const row = buffer.getLine(index);
    const before = isJoined && row?.isWrapped === true ? (lines.pop() ?? '') : '';
    const goesOn = isJoined && buffer.getLine(index + 1)?.isWrapped === true;
    lines.push(before + (row?.translateToString(!goesOn) ?? ''));
  }
  return lines;
}
