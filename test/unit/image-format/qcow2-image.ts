const SOUND = {
  version: 3,
  backing: { offset: 0n, length: 0, name: '' },
  clusterBits: 16,
  virtualSizeBytes: 1n << 30n,
  encryption: 0,
  l1: { entries: 2, offset: 0x30000n },
  refcountTable: { offset: 0x10000n, clusters: 1 },
  snapshots: { count: 0, offset: 0n },
  features: 0n,
  refcountOrder: 4,
  headerLength: 112,
  compressionType: 0,
};

type Extension = readonly [type: number, body: string, length?: number];

/** What a header is built from; what is left out is as in a sound, empty image of 1 GiB. */
export type Qcow2Parts = Partial<typeof SOUND> & { readonly extensions?: readonly Extension[] };

/** Builds the first 64 KiB of a qcow2 image, byte by byte. */
export function qcow2Head({ extensions = [], ...given }: Qcow2Parts = {}): Buffer {
  const parts = { ...SOUND, ...given };
  const head = Buffer.alloc(65_536);
  head.write('QFI\xfb', 'latin1');
  head.writeUInt32BE(parts.version, 4);
  head.writeBigUInt64BE(parts.backing.offset, 8);
  head.writeUInt32BE(parts.backing.length, 16);
  head.writeUInt32BE(parts.clusterBits, 20);
  head.writeBigUInt64BE(parts.virtualSizeBytes, 24);
  head.writeUInt32BE(parts.encryption, 32);
  head.writeUInt32BE(parts.l1.entries, 36);
  head.writeBigUInt64BE(parts.l1.offset, 40);
  head.writeBigUInt64BE(parts.refcountTable.offset, 48);
  head.writeUInt32BE(parts.refcountTable.clusters, 56);
  head.writeUInt32BE(parts.snapshots.count, 60);
  head.writeBigUInt64BE(parts.snapshots.offset, 64);
  if (parts.version !== 2) {
    head.writeBigUInt64BE(parts.features, 72);
    head.writeUInt32BE(parts.refcountOrder, 96);
    head.writeUInt32BE(parts.headerLength, 100);
    head.writeUInt8(parts.compressionType, 104);
  }
  writeExtensions(head, parts.version === 2 ? 72 : parts.headerLength, extensions);
  if (parts.backing.name !== '') head.write(parts.backing.name, Number(parts.backing.offset));
  return head;
}

function writeExtensions(head: Buffer, start: number, extensions: readonly Extension[]): void {
  let offset = start;
  for (const [type, body, length = body.length] of extensions) {
    head.writeUInt32BE(type, offset);
    head.writeUInt32BE(length, offset + 4);
    head.write(body, offset + 8);
    offset += 8 + Math.ceil(body.length / 8) * 8;
  }
}
