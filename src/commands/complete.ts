import type { FlatItem } from '../core/filter.ts';
import { encodeMetadataName } from '../core/identity.ts';
import { type HelpOption, type HelpPage, parseHelp } from '../report/parse-help.ts';
import type { CommandContext } from './context.ts';
import { type KnownImages, readKnownImages } from './known-images.ts';
import { stateDirOf } from './places.ts';

/** Something that may stand there, with what it means. */
interface Candidate {
  readonly word: string;
  readonly description?: string;
}

/** The line as far as it is understood: the help of its command, and where its last word stands. */
interface Line {
  readonly page: HelpPage;
  readonly positionals: readonly string[];
  /** The option whose value the last word is. */
  readonly option: HelpOption | undefined;
}

/** Tags that every source has; others are taken from the images at hand. */
const COMMON_TAGS = ['arch', 'label', 'os', 'product_name', 'release', 'supported', 'version', 'version_name'];

/**
 * Completes the last of the words behind the program's name. One line for each candidate, its meaning behind a tab; none
 * where the shell knows better, as for files.
 *
 * @param helpOf the unwrapped help text of the command that words name
 */
export async function complete(
  words: readonly string[],
  context: CommandContext,
  helpOf: (words: readonly string[]) => Promise<string>,
): Promise<string> {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  if (before.includes('--')) return '';
  const line = await readLine(before, async (command) => parseHelp(await helpOf(command)));
  const candidates = await candidatesFor(current, line, () => knownImages(before, context));
  return candidates
    .filter(({ word }) => word.startsWith(current))
    .map(({ word, description }) => `${word}${description === undefined ? '' : `\t${description}`}\n`)
    .join('');
}

async function readLine(
  before: readonly string[],
  pageOf: (command: readonly string[]) => Promise<HelpPage>,
): Promise<Line> {
  const command: string[] = [];
  const positionals: string[] = [];
  let page = await pageOf(command);
  let option: HelpOption | undefined;
  for (const word of before) {
    if (option !== undefined) option = undefined;
    else if (word.startsWith('-'))
      option = page.options.find(({ names, takesValue }) => takesValue && names.includes(word));
    else if (page.commands.has(word)) {
      command.push(word);
      page = await pageOf(command);
    } else positionals.push(word);
  }
  return { page, positionals, option };
}

async function candidatesFor(
  current: string,
  { page, positionals, option }: Line,
  images: () => Promise<KnownImages>,
): Promise<readonly Candidate[]> {
  if (option !== undefined) return option.choices.map((word) => ({ word }));
  if (current.startsWith('-')) return page.options.flatMap((each) => optionCandidates(each, current));
  if (page.commands.size > 0) return [...page.commands].map(([word, description]) => ({ word, description }));
  const place = page.positionals[positionals.length] ?? page.positionals.at(-1);
  if (place === undefined) return [];
  if (place.choices.length > 0) return place.choices.map((word) => ({ word }));
  return imageCandidates(place.name, positionals.at(-1), current, images);
}

/** The name of an option, or behind `=` its values. */
function optionCandidates({ names, choices, description }: HelpOption, current: string): readonly Candidate[] {
  const [name = ''] = names;
  if (current.startsWith(`${name}=`)) return choices.map((choice) => ({ word: `${name}=${choice}` }));
  return [{ word: name, description }];
}

/** Images are named by product and version, by filters, or by volume, as the command takes them. */
async function imageCandidates(
  place: string,
  previous: string | undefined,
  current: string,
  images: () => Promise<KnownImages>,
): Promise<readonly Candidate[]> {
  if (!IMAGE_PLACES.has(place)) return [];
  const { identities, tags } = await images();
  if (place === 'target') {
    return identities.map((each) => ({
      word: encodeMetadataName(each),
      description: `${each.product} ${each.version}`,
    }));
  }
  const filters = filterCandidates(tags, current);
  if (place === 'filters') return filters;
  const versions = identities.filter(({ product }) => product === previous).map(({ version }) => version);
  if (versions.length > 0) return versions.map((word) => ({ word }));
  return [...new Set(identities.map(({ product }) => product))].map((word): Candidate => ({ word })).concat(filters);
}

/** The positional arguments that name images. */
const IMAGE_PLACES: ReadonlySet<string> = new Set(['image', 'filters', 'words', 'target']);

/** Keys with their operator; once the key is written, the values that images have. */
function filterCandidates(tags: readonly FlatItem[], current: string): readonly Candidate[] {
  const [key, value] = current.split(/=(.*)/s);
  if (key !== undefined && value !== undefined) {
    const values = new Set(tags.flatMap((item) => item[key] ?? []));
    return [...values].toSorted().map((each) => ({ word: `${key}=${each}` }));
  }
  const keys = new Set([...COMMON_TAGS, ...tags.flatMap((item) => Object.keys(item))]);
  return [...keys].toSorted().map((each) => ({ word: `${each}=` }));
}

function knownImages(before: readonly string[], context: CommandContext): Promise<KnownImages> {
  const stateDir = valueOf('--state-dir', before);
  return readKnownImages(stateDirOf(context, { stateDir }), valueOf('--metadata-dir', before));
}

function valueOf(option: string, words: readonly string[]): string | undefined {
  const at = words.lastIndexOf(option);
  return at === -1 ? undefined : words[at + 1];
}
