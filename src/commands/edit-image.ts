import type { Argv } from 'yargs';
import type { FlatItem } from '../core/filter.ts';
import { traitsOf } from '../core/image-summary.ts';
import { checkLocalName, isLocalImage } from '../core/local-image.ts';
import { IMAGE_TYPES, type ImageRecord } from '../core/record.ts';
import { FailureError, UsageError } from '../errors.ts';
import { editImage, type ImageEdit } from '../execute/edit-image.ts';
import { ensureRecord } from '../execute/ensure-record.ts';
import type { CommandContext } from './context.ts';
import { findImage, type FoundImage, namesOf } from './find-image.ts';
import { splitWords, withImages, type WordsArguments, wordsOptions } from './image-command.ts';
import { checkTagName, parseTags } from './new-image.ts';
import { type ImageArguments, imageOptions, type Verb } from './options.ts';
import { imageText, permit } from './permit.ts';
import type { LockedSession } from './session.ts';

interface UpdateArguments extends ImageArguments {
  readonly tag: readonly string[];
  readonly untag: readonly string[];
}

/** `rename IMAGE NEW`: changes what people call an image; its volume keeps its name. */
export function renameCommand(context: CommandContext): Verb<WordsArguments> {
  return editCommand(context, 'rename', 'NEW', (record, name, { image, images }) => {
    checkLocalName(name);
    assertFree(name, image, images);
    return { traits: { ...traitsOf(record), displayName: name }, tags: ownTags(record, { x_poolkeeper_name: name }) };
  });
}

/** `chtype IMAGE TYPE`: changes what an image is for. */
export function chtypeCommand(context: CommandContext): Verb<WordsArguments> {
  return editCommand(context, 'chtype', 'TYPE', (record, text) => {
    const type = IMAGE_TYPES.find((known) => known === text);
    if (type === undefined) {
      throw new UsageError(`'${text}' is not a type of image`, { hint: `the types are ${IMAGE_TYPES.join(', ')}` });
    }
    return { traits: { ...traitsOf(record), type }, tags: ownTags(record, { x_poolkeeper_type: type }) };
  });
}

/** `update IMAGE --tag KEY=VALUE --untag KEY`: changes what filters find an image by. */
export function updateCommand(context: CommandContext): Verb<UpdateArguments> {
  return {
    builder: (yargs) => updateOptions(yargs) as unknown as Argv<UpdateArguments>,
    handler: async (options) => {
      const [tags, gone] = [parseTags(options.tag), options.untag.map(checkTagName)];
      if (Object.keys(tags).length + gone.length === 0) throw new UsageError('say what to change: --tag or --untag');
      await withImages(context, options, 'update', async (session, images) => {
        const image = findImage(options.image, images);
        permit('update', image);
        warnOfSource(session, image, [...Object.keys(tags), ...gone]);
        await edit(session, image, {
          text: `updated ${imageText(image)}`,
          change: (record) => ({ tags: withoutTags({ ...record.tags, ...tags }, gone) }),
        });
      });
    },
  };
}

function updateOptions<T>(yargs: Argv<T>) {
  const list = { type: 'string', array: true, requiresArg: true, default: [] } as const;
  return imageOptions(yargs)
    .option('tag', { ...list, describe: 'KEY=VALUE to find the image by; may be repeated' })
    .option('untag', { ...list, describe: 'KEY that is to go; may be repeated' });
}

/** Decides what a word makes of an image. */
type Change = (
  record: ImageRecord,
  word: string,
  found: { readonly image: FoundImage; readonly images: readonly FoundImage[] },
) => ImageEdit;

function editCommand(
  context: CommandContext,
  command: 'rename' | 'chtype',
  what: string,
  change: Change,
): Verb<WordsArguments> {
  return {
    builder: (yargs) => wordsOptions(yargs, command, what),
    handler: (options) =>
      withImages(context, options, command, async (session, images) => {
        const [words, word] = splitWords(options, what);
        const image = findImage(words, images);
        permit(command, image);
        const verb = command === 'rename' ? 'renamed' : 'changed the type of';
        await edit(session, image, {
          text: `${verb} ${imageText(image)} to ${word}`,
          change: (record) => change(record, word, { image, images }),
        });
      }),
  };
}

async function edit(
  { environment, reporter }: LockedSession,
  image: FoundImage,
  { text, change }: { readonly text: string; readonly change: (record: ImageRecord) => ImageEdit },
): Promise<void> {
  const { identity, volumeName, isOffered } = image;
  const record = await ensureRecord(image, environment);
  const { tags, traits } = await editImage(record, { ...change(record), isOffered }, environment);
  const { type, displayName: name } = traitsOf({ traits });
  reporter.event('change', text, 'updated', { ...identity, volume: volumeName, name, type, tags });
}

/** @throws FailureError when another image answers to the name. */
function assertFree(name: string, image: FoundImage, images: readonly FoundImage[]): void {
  const others = images.filter((other) => other !== image && other.status !== 'deleted');
  const taken = others.find((other) => namesOf(other).includes(name));
  if (taken === undefined) return;
  throw new FailureError(`cannot rename ${imageText(image)}: ${imageText(taken)} is called '${name}' already`, {
    hint: 'choose another name',
  });
}

/** Images of the administrator's own can be found by what they are called and what they are for. */
function ownTags({ identity, tags }: ImageRecord, change: FlatItem): FlatItem {
  return isLocalImage(identity) ? { ...tags, ...change } : tags;
}

function withoutTags(tags: FlatItem, gone: readonly string[]): FlatItem {
  return Object.fromEntries(Object.entries(tags).filter(([key]) => !gone.includes(key)));
}

/** A source's tags come back as soon as it changes any of them. */
function warnOfSource({ reporter }: LockedSession, { identity, record }: FoundImage, keys: readonly string[]): void {
  if (isLocalImage(identity)) return;
  const given = keys.filter((key) => record?.tags[key] !== undefined);
  const which = given.length === 0 ? 'its tags are' : `${given.join(', ')} is`;
  reporter.warning(`${which} given by its source: the next sync may write the source's tags again`);
}
