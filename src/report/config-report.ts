import type { Fields, Reporter } from './reporter.ts';

/** Where a value comes from. */
export type ShownOrigin =
  | { readonly kind: 'flag' }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'file'; readonly file: string; readonly line: number }
  | { readonly kind: 'default' };

/** One effective value. */
export interface ShownSetting {
  /** With the names of the maps around it, parted by dots. */
  readonly key: string;
  /** `undefined`: off, or told by the host. */
  readonly value: string | number | readonly string[] | undefined;
  readonly origin: ShownOrigin;
}

/** Says that nothing is wrong. */
export function showSound(file: string | undefined, sources: number, reporter: Reporter): void {
  const text = file === undefined ? 'there is no configuration; the defaults count' : `${file} is sound`;
  reporter.event('info', text, 'config', { file, sources });
}

/** Shows what counts, and why. */
export function showSettings(settings: readonly ShownSetting[], reporter: Reporter): void {
  const width = Math.max(...settings.map((setting) => lineOf(setting).length));
  for (const setting of settings) {
    const { key, value, origin } = setting;
    const text = `${lineOf(setting).padEnd(width)}  # ${originText(origin)}`;
    reporter.data(text, 'setting', { key, value: value ?? null, origin: originFields(origin) });
  }
}

function lineOf({ key, value }: ShownSetting): string {
  if (value === undefined) return `${key}:`;
  return `${key}: ${typeof value === 'object' ? `[${value.join(', ')}]` : value}`;
}

function originText(origin: ShownOrigin): string {
  switch (origin.kind) {
    case 'flag':
      return 'command line';
    case 'environment':
      return origin.variable;
    case 'file':
      return `${origin.file}:${origin.line}`;
    case 'default':
      return 'default';
  }
}

function originFields({ kind, ...rest }: ShownOrigin): Fields {
  return { kind, ...rest };
}
