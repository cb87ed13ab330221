import type { OpenIntent } from './journal.ts';
import type { Digest, ImageRecord } from './record.ts';

/** What the sender of an image said about this state of it, to tell later whether it is still the same (RFC 9110, 8.8). */
export interface Validators {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** What an interrupted transfer left in a volume. */
export interface PartialImage extends Validators {
  /** The intent of the journal that is still open; `undefined` when the journal was lost. */
  readonly intentId: number | undefined;
  /** What the whole image was to be. */
  readonly sizeBytes: bigint;
  readonly digest: Digest;
  /** How many of the image's first bytes the volume is known to hold; what lies behind them is not to be trusted. */
  readonly heldBytes: bigint;
}

/** Where to look for what interrupted transfers left. */
export interface Remains {
  readonly records: ReadonlyMap<string, ImageRecord>;
  /** The lengths in bytes of the unfinished volumes that are still in the pool, by name, where they are known. */
  readonly lengths: ReadonlyMap<string, bigint>;
  /** Which files they are, by name, where that can be told. */
  readonly files: ReadonlyMap<string, string>;
  readonly openIntents: readonly OpenIntent[];
}

/** The names of the volumes that were being filled when a run ended. */
export function unfinishedVolumes(
  records: ReadonlyMap<string, ImageRecord>,
  openIntents: readonly OpenIntent[],
): readonly string[] {
  const intents = fetchIntents(openIntents);
  return [...records].flatMap(([name, record]) => (isUnfinished(record, intents.get(name)) ? [name] : []));
}

/**
 * The volumes that interrupted transfers left, by name. A volume counts only if its record says that it was being filled,
 * and it is as long as it was made, and the very file that was made: otherwise somebody else put it there. One whose transfer was given up counts as long
 * as its intent is open, so that it can be taken up again.
 */
export function findPartialImages({
  records,
  lengths,
  files,
  openIntents,
}: Remains): ReadonlyMap<string, PartialImage> {
  const intents = fetchIntents(openIntents);
  const partials = new Map<string, PartialImage>();
  for (const [name, record] of records) {
    const { sizeBytes, digest } = record.provenance;
    const open = intents.get(name);
    if (sizeBytes === undefined || digest === undefined) continue;
    if (!isUnfinished(record, open) || lengths.get(name) !== sizeBytes) continue;
    const [made, file] = [open?.notes['made'], files.get(name)];
    if (made !== undefined && file !== undefined && made !== file) continue;
    partials.set(name, { intentId: open?.id, sizeBytes, digest, ...readNotes(open, sizeBytes) });
  }
  return partials;
}

function fetchIntents(openIntents: readonly OpenIntent[]): ReadonlyMap<string, OpenIntent> {
  return new Map(
    openIntents.flatMap((open) => (open.intent.kind === 'fetch' ? [[open.intent.volumeName, open] as const] : [])),
  );
}

/** The notes of an intent's progress, as `findPartialImages` reads them. */
export function progressNotes(heldBytes: bigint, { etag = '', lastModified = '' }: Validators): Record<string, string> {
  return { heldBytes: String(heldBytes), etag, lastModified };
}

/** Whether two checksums are the same. */
export function isSameDigest(a: Digest, b: Digest): boolean {
  return a.algorithm === b.algorithm && a.hex.toLowerCase() === b.hex.toLowerCase();
}

function isUnfinished({ status }: ImageRecord, open: OpenIntent | undefined): boolean {
  return status === 'saving' || (status === 'killed' && open !== undefined);
}

function readNotes(open: OpenIntent | undefined, sizeBytes: bigint): Validators & { readonly heldBytes: bigint } {
  const { heldBytes = '', etag = '', lastModified = '' } = open?.notes ?? {};
  const held = /^\d{1,18}$/.test(heldBytes) ? BigInt(heldBytes) : 0n;
  return {
    heldBytes: held <= sizeBytes ? held : 0n,
    etag: etag === '' ? undefined : etag,
    lastModified: lastModified === '' ? undefined : lastModified,
  };
}
