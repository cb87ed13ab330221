/** An option as a help text shows it. */
export interface HelpOption {
  /** Long form first: `--connect`, `-c`. */
  readonly names: readonly string[];
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  readonly description: string;
}

/** What may be written behind a command, as its help says. */
export interface HelpPage {
  readonly commands: ReadonlyMap<string, string>;
  readonly positionals: readonly { readonly name: string; readonly choices: readonly string[] }[];
  readonly options: readonly HelpOption[];
}

const COMMAND = /^ {2}poolkeeper (?:[a-z-]+ )*?([a-z-]+)(?: [<[]\S*)*(?: {2,}(.*))?$/;
const POSITIONAL = /^ {2}(\S+)/;
const OPTION = /^ +(?:(-\w), )?(--[a-z-]+)(?:, --[a-z-]+)*(.*)$/;
const VALUE = /\[(?:string|number|array|choices: [^\]]*)\]/;

/** Options whose value only stands behind `=`. */
const ATTACHED: ReadonlySet<string> = new Set(['--create-pool']);

/** Reads a help text of this program that is not wrapped. What it does not understand is left out. */
export function parseHelp(help: string): HelpPage {
  const lines = help.split('\n');
  const commands = section(lines, 'Commands:').map((line) => COMMAND.exec(line));
  const positionals = section(lines, 'Positionals:').map((line) => ({
    name: POSITIONAL.exec(line)?.[1] ?? '',
    choices: choicesOf(line),
  }));
  return {
    commands: new Map(commands.flatMap((found) => (found?.[1] === undefined ? [] : [[found[1], found[2] ?? '']]))),
    positionals,
    options: section(lines, 'Options:').flatMap(parseOption),
  };
}

function section(lines: readonly string[], title: string): readonly string[] {
  const start = lines.indexOf(title);
  if (start === -1) return [];
  const end = lines.indexOf('', start);
  return lines.slice(start + 1, end === -1 ? undefined : end);
}

function parseOption(line: string): readonly HelpOption[] {
  const [, short, long, rest = ''] = OPTION.exec(line) ?? [];
  if (long === undefined) return [];
  return [
    {
      names: short === undefined ? [long] : [long, short],
      takesValue: VALUE.test(rest) && !ATTACHED.has(long),
      choices: choicesOf(rest),
      description: rest.replace(/(?: *\[[^\]]*\])+ *$/, '').trim(),
    },
  ];
}

/** `[choices: "keep", "drop-when-unused"]`. */
function choicesOf(text: string): readonly string[] {
  const [, list = ''] = /\[choices: ([^\]]*)\]/.exec(text) ?? [];
  return [...list.matchAll(/"([^"]*)"/g)].map(([, choice]) => choice ?? '');
}
