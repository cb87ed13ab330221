/** How one figure grows with another. */
export interface Curve {
  readonly name: string;
  /** Of the first figure of each point; the second is in milliseconds. */
  readonly unit: string;
  readonly points: readonly (readonly [number, number])[];
}

const WIDTH = 360;
const HEIGHT = 220;
const LEFT = 56;
const TOP = 34;

/** One panel for each curve, with logarithmic axes; the dashed line is what grows in step. */
export function chart(curves: readonly Curve[]): string {
  const panels = curves.map((curve, index) => {
    const [x, y] = [(index % 2) * (WIDTH + 80), Math.floor(index / 2) * (HEIGHT + 90)];
    return `<g transform="translate(${x},${y})">${panel(curve)}</g>`;
  });
  const height = Math.ceil(curves.length / 2) * (HEIGHT + 90);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${2 * (WIDTH + 80)} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    ...panels,
    '</svg>\n',
  ].join('\n');
}

function panel({ name, unit, points }: Curve): string {
  const xs = rangeOf(points.map(([x]) => x));
  const ys = rangeOf(points.map(([, y]) => y));
  const atX = (x: number): number => LEFT + part(x, xs) * WIDTH;
  const atY = (y: number): number => TOP + (1 - part(y, ys)) * HEIGHT;
  const line = points.map(([x, y]) => `${atX(x).toFixed(1)},${atY(y).toFixed(1)}`).join(' ');
  const dots = points.map(
    ([x, y]) =>
      `<circle cx="${atX(x).toFixed(1)}" cy="${atY(y).toFixed(1)}" r="3"/>` +
      `<text x="${atX(x).toFixed(1)}" y="${(atY(y) - 7).toFixed(1)}" text-anchor="middle">${y.toFixed(0)}</text>`,
  );
  const [lastX, lastY] = points.at(-1) ?? [1, 1];
  const startX = Math.max(xs.low, (lastX * ys.low) / lastY);
  const step = `${atX(startX).toFixed(1)},${atY((lastY * startX) / lastX).toFixed(1)} ${atX(lastX).toFixed(1)},${atY(lastY).toFixed(1)}`;
  return [
    `<text x="${LEFT}" y="16" font-weight="bold">${name}, ms</text>`,
    `<rect x="${LEFT}" y="${TOP}" width="${WIDTH}" height="${HEIGHT}" fill="none" stroke="#999"/>`,
    ...marks(xs).map((x) => `<text x="${atX(x)}" y="${TOP + HEIGHT + 16}" text-anchor="middle">${x}</text>`),
    ...marks(ys).map((y) => `<text x="${LEFT - 6}" y="${atY(y) + 4}" text-anchor="end">${y}</text>`),
    `<text x="${LEFT + WIDTH / 2}" y="${TOP + HEIGHT + 34}" text-anchor="middle">${unit}</text>`,
    `<polyline points="${step}" fill="none" stroke="#bbb" stroke-dasharray="4 4"/>`,
    `<polyline points="${line}" fill="none" stroke="#0b62a4" stroke-width="2"/>`,
    ...dots,
  ].join('\n');
}

interface Range {
  readonly low: number;
  readonly high: number;
}

/** Whole powers of ten around the values. */
function rangeOf(values: readonly number[]): Range {
  const low = 10 ** Math.floor(Math.log10(Math.min(...values)));
  return { low, high: Math.max(10 ** Math.ceil(Math.log10(Math.max(...values))), low * 10) };
}

function part(value: number, { low, high }: Range): number {
  return Math.log(value / low) / Math.log(high / low);
}

function marks({ low, high }: Range): readonly number[] {
  const all: number[] = [];
  for (let mark = low; mark <= high; mark *= 10) all.push(mark);
  return all;
}
