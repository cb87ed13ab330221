import { findConfigFile, readConfigFile } from '../config/config-file.ts';
import type { Configuration } from '../config/configuration.ts';
import type { Mistake } from '../config/mistake.ts';
import { type EffectiveValue, effectiveSettings, SETTINGS } from '../config/settings.ts';
import { UsageError } from '../errors.ts';
import type { CommandContext } from './context.ts';

/** What every command is given beside its own options. */
export interface ConfiguredArguments {
  readonly config?: string | undefined;
  /** `undefined`: there is no file. */
  readonly configuration?: Configuration | undefined;
  /** What counts, by key, and where each value comes from. */
  readonly effective?: ReadonlyMap<string, EffectiveValue>;
}

/** A configuration file that was read, with all that is wrong with it. */
export interface ReadConfiguration {
  readonly configuration: Configuration;
  readonly mistakes: readonly Mistake[];
}

/**
 * Gives a command the effective value of every setting that it was not given as an option: from the environment, the
 * file, or the default.
 *
 * @param own settings that mean something else to this command, and that it is to see only when they were given.
 * @throws UsageError naming the first mistake in the file.
 */
export async function configure(
  options: Record<string, unknown>,
  context: CommandContext,
  own: readonly string[] = [],
): Promise<void> {
  const configuration = await soundConfiguration(options['config'], context);
  const effective = effectiveSettings(options, context.env, configuration);
  options['configuration'] = configuration;
  options['effective'] = effective;
  for (const { key, option } of SETTINGS) if (!own.includes(key)) options[option] ??= effective.get(key)?.value;
}

/**
 * Reads the configuration; `undefined` when there is none.
 *
 * @throws UsageError naming the first mistake in it.
 */
export async function soundConfiguration(named: unknown, context: CommandContext): Promise<Configuration | undefined> {
  const read = await findConfiguration(named, context);
  if (read === undefined) return undefined;
  const { configuration, mistakes } = read;
  const [first, ...others] = mistakes;
  if (first === undefined) return configuration;
  if (others.length === 0) throw mistakeError(first, configuration.file);
  const more = `'poolkeeper config check' lists ${others.length} more`;
  throw mistakeError(
    { ...first, hint: first.hint === undefined ? more : `${first.hint}; ${more}` },
    configuration.file,
  );
}

/** A mistake as an error, at `FILE:LINE:COLUMN` as compilers write it and editors read it. */
export function mistakeError({ line, column, message, hint }: Mistake, file: string): UsageError {
  return new UsageError(`${file}:${line}:${column}: ${message}`, hint === undefined ? {} : { hint });
}

/** Reads the configuration, whatever is wrong with it; `undefined` when there is none. YAML is loaded only if there is. */
export async function findConfiguration(
  named: unknown,
  { env, cwd, uid }: CommandContext,
): Promise<ReadConfiguration | undefined> {
  const file = findConfigFile({ named: typeof named === 'string' ? named : undefined, env, cwd, uid });
  if (file === undefined) return undefined;
  const text = readConfigFile(file, uid);
  const [{ parseTree }, { readConfiguration }, { checksFor }] = await Promise.all([
    import('../config/yaml-tree.ts'),
    import('../config/configuration.ts'),
    import('./configuration-checks.ts'),
  ]);
  const { tree, mistakes } = parseTree(text);
  const { configuration, mistakes: more } = readConfiguration(tree, file, checksFor(file));
  return { configuration, mistakes: [...mistakes, ...more].toSorted((a, b) => a.line - b.line) };
}
