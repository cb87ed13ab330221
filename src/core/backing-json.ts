/** The scalar options of one node of a QEMU block graph, by name: `driver`, `filename`, `pool`, … */
export type BlockNode = ReadonlyMap<string, string>;

const MAX_DEPTH = 64;

/** Drivers of QEMU that take the bytes as they are. */
export const RAW_DRIVERS: ReadonlySet<string> = new Set(['raw', 'file', 'host_device', 'host_cdrom']);

/**
 * Reads a `json:{…}` pseudo-protocol name into the nodes it describes. Nested objects, arrays and dotted keys
 * (`"file.driver"`) say the same in QEMU and come out the same here; strings may stand in single quotes, as QEMU allows.
 * `undefined` when it is not an object, or nested deeper than anything QEMU would open.
 */
export function parseBlockNodes(text: string): readonly BlockNode[] | undefined {
  const root = parseJson(text.slice('json:'.length));
  if (typeof root !== 'object' || root === null) return undefined;
  const nodes = new Map<string, Map<string, string>>();
  return collect(root, [], nodes) ? [...nodes.values()] : undefined;
}

/** Whether a `json:{…}` name describes an image that begins somewhere inside a file: its header is not at the file's start. */
export function beginsInsideFile(text: string): boolean {
  const nodes = text.startsWith('json:') ? (parseBlockNodes(text) ?? []) : [];
  const isFormatted = nodes.some((node) => !RAW_DRIVERS.has(node.get('driver') ?? 'raw'));
  return isFormatted && nodes.some((node) => (node.get('offset') ?? '0') !== '0');
}

/** Returns `false` when the nesting is too deep. */
function collect(value: object, prefix: readonly string[], nodes: Map<string, Map<string, string>>): boolean {
  if (prefix.length > MAX_DEPTH) return false;
  return Object.entries(value).every(([key, child]: [string, unknown]) => {
    const place = [...prefix, ...key.split('.')];
    if (typeof child === 'object' && child !== null) return collect(child, place, nodes);
    if (typeof child === 'string' || typeof child === 'number') addOption(place, String(child), nodes);
    return true;
  });
}

function addOption(place: readonly string[], value: string, nodes: Map<string, Map<string, string>>): void {
  const parent = place.slice(0, -1).join('.');
  const node = nodes.get(parent) ?? new Map<string, string>();
  nodes.set(parent, node.set(place.at(-1) ?? '', value));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(withDoubleQuotes(text));
  } catch {
    return undefined;
  }
}

function withDoubleQuotes(text: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'/gsu, (whole: string, single: string | undefined) =>
    single === undefined
      ? whole
      : `"${single.replaceAll("\\'", "'").replaceAll(/\\.|"/gsu, (c) => (c === '"' ? '\\"' : c))}"`,
  );
}
