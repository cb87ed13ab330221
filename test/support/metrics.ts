/** The value of every sample, by name and labels as they are written. */
export type Samples = ReadonlyMap<string, number>;

const NAME = '[a-zA-Z_][a-zA-Z0-9_]*';
const SAMPLE = new RegExp(`^(${NAME})\\{((?:${NAME}="(?:[^"\\\\\\n]|\\\\["\\\\n])*"(?:,(?!\\})|(?=\\})))*)\\} (\\S+)$`);

/**
 * Reads metrics as strictly as OpenMetrics 1.0 has it, as far as gauges go: families that follow each other, each with its
 * metadata first, no sample twice, no empty line, an end.
 */
export function parseMetrics(text: string): Samples {
  if (!text.endsWith('\n# EOF\n')) throw new Error('there is no # EOF');
  const samples = new Map<string, number>();
  const families = new Set<string>();
  for (const family of text.slice(0, -'# EOF\n'.length).split(/^(?=# HELP )/m)) {
    const [help = '', type, ...lines] = family.replace(/\n$/, '').split('\n');
    const [, name = ''] = /^# HELP (\S+) \S.*$/.exec(help) ?? [];
    if (name === '' || families.has(name) || type !== `# TYPE ${name} gauge`)
      throw new Error(`not a family: ${family}`);
    families.add(name);
    for (const line of lines) addSample(line, name, samples);
  }
  return samples;
}

function addSample(line: string, family: string, samples: Map<string, number>): void {
  const [, name, labels, value] = SAMPLE.exec(line) ?? [];
  if (name === undefined || name !== family) throw new Error(`not a sample of ${family}: ${line}`);
  const key = `${name}{${labels}}`;
  if (samples.has(key)) throw new Error(`sample ${key} comes twice`);
  if (value === undefined || !/^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(value)) throw new Error(`not a number: ${line}`);
  samples.set(key, Number(value));
}
