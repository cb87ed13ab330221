import { createHash } from 'node:crypto';
import type { KnownItem } from '../core/orphans.ts';
import type { Digest } from '../core/record.ts';
import type { Connection } from '../libvirt/connection.ts';
import { downloadVolume } from '../libvirt/stream.ts';
import type { Volume } from '../libvirt/volume.ts';
import { parseXml, textAt } from '../libvirt/xml-text.ts';

/** What the items are that have as many bytes as the volume. */
export function itemsOfSize(volume: Volume, items: readonly KnownItem[]): readonly KnownItem[] {
  const physical = textAt(parseXml(volume.xml, 'volume'), 'physical') ?? '';
  const sizeBytes = /^\d+$/.test(physical) ? BigInt(physical) : volume.capacityBytes;
  return items.filter((item) => item.sizeBytes === sizeBytes);
}

/** The item whose digest the volume's content has; reads all of it. */
export async function itemOfContent(
  volume: Volume,
  items: readonly KnownItem[],
  { connection, signal }: { readonly connection: Connection; readonly signal: AbortSignal },
): Promise<KnownItem | undefined> {
  const hashes = new Map(items.map(({ digest }) => [digest.algorithm, createHash(digest.algorithm)]));
  if (hashes.size === 0) return undefined;
  for await (const chunk of downloadVolume(connection, volume.pool, volume.name)) {
    signal.throwIfAborted();
    for (const hash of hashes.values()) hash.update(chunk);
  }
  const found = new Map<Digest['algorithm'], string>();
  for (const [algorithm, hash] of hashes) found.set(algorithm, hash.digest('hex'));
  return items.find(({ digest }) => found.get(digest.algorithm) === digest.hex);
}
