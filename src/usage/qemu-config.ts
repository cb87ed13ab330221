import type { BlindSpot, Reference } from '../core/reference.ts';
import { readArgument } from '../libvirt/xml/command-line.ts';
import { formatsOfArguments, type ImageFormats, saysRaw } from '../libvirt/xml/image-formats.ts';
import { type Argument, readInnerArguments } from '../libvirt/xml/inner-arguments.ts';
import { readShort } from '../util/read-short.ts';

/** What a configuration file of QEMU names, and what of it could not be seen. */
export interface QemuConfig {
  readonly references: readonly Reference[];
  /** The values that are opened as raw bytes and in no other way. */
  readonly rawImages: ReadonlySet<string>;
  readonly imageFormats: ImageFormats;
  readonly blindSpots: readonly BlindSpot[];
}

/** Nobody writes a longer one by hand, and reading must end. */
const MAX_BYTES = 1_048_576;

/**
 * Reads a file that a domain's command line names with `-readconfig`: more arguments, as `[group "id"]` and `key = "value"`.
 * One that cannot be read or understood is a blind spot, since what the domain opens is not known.
 *
 * Source: QEMU, `util/qemu-config.c`, `qemu_config_foreach`.
 *
 * @param path on this host; `undefined`: it lies on another one.
 * @param name how to call it.
 * @param document what names the file, e.g. `domain web1, inactive XML`.
 */
export function readQemuConfig(path: string | undefined, name: string, document: string): QemuConfig {
  const nothing = { references: [], rawImages: new Set<string>(), imageFormats: new Map() };
  const unseen = (cause: string): QemuConfig => ({
    ...nothing,
    blindSpots: [
      {
        what: `QEMU's configuration file ${name}`,
        cause: `${cause}; ${document} names it with -readconfig`,
        remedy: 'mend the file, or take -readconfig out of the domain',
        concerns: 'everything',
      },
    ],
  });
  if (path === undefined) return unseen('it lies on another host');
  let text: string;
  try {
    text = readShort(path, MAX_BYTES, true);
  } catch (error) {
    return unseen(`it cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const args = parseQemuConfig(text);
  if (args === undefined) return unseen('a line of it makes no sense');
  const inner = readInnerArguments(args);
  const references = args.flatMap((argument) =>
    readArgument(argument.value, argument.previous).map((image) => ({
      ...image,
      evidence: `[${(argument.previous ?? '').slice(1)}]`,
    })),
  );
  return {
    references,
    rawImages: rawImagesOf(args),
    imageFormats: formatsOfArguments(args),
    blindSpots: inner.length === 0 ? [] : unseen(`it opens ${inner.join(', ')} at an offset`).blindSpots,
  };
}

/** Reads the groups of a configuration file as arguments of a command line; `undefined` where QEMU would refuse it. */
export function parseQemuConfig(text: string): readonly Argument[] | undefined {
  const groups: { readonly previous: string; readonly items: string[] }[] = [];
  for (const line of text.split('\n')) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const group = /^\s*\[([^\]"]+?)(?:\s+"[^"]*")?\]\s*$/.exec(line)?.[1];
    const [, key, value] = /^\s*([^\s=]+)\s*=\s*"([^"]*)"\s*$/.exec(line) ?? [];
    if (group !== undefined) groups.push({ previous: `-${group}`, items: [] });
    else if (key !== undefined && value !== undefined && groups.length > 0) {
      groups.at(-1)?.items.push(`${key}=${value.replaceAll(',', ',,')}`);
    } else return undefined;
  }
  return groups.map(({ previous, items }) => ({ previous, value: items.join(',') }));
}

function rawImagesOf(args: readonly Argument[]): ReadonlySet<string> {
  const raw = new Set<string>();
  const other = new Set<string>();
  for (const { previous, value } of args) {
    for (const image of readArgument(value, previous)) (saysRaw(value) ? raw : other).add(image.value);
  }
  return new Set([...raw].filter((value) => !other.has(value)));
}
