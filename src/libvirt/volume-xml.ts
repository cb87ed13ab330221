import type { Permissions } from '../core/permissions.ts';
import { LibvirtError } from '../errors.ts';
import { readVolumeForm, type VolumeTexts } from './xml/volume-form.ts';
import { parseXml, textAt } from './xml-text.ts';

/** libvirt's volume types, in the order of virStorageVolType. */
export const VOLUME_TYPES = ['file', 'block', 'dir', 'network', 'netdir', 'ploop'] as const;

export type VolumeType = (typeof VOLUME_TYPES)[number] | 'unknown';

/** What the XML of a volume says of it. */
export interface DescribedVolume {
  readonly path: string;
  readonly type: VolumeType;
  readonly format: string | undefined;
  readonly capacityBytes: bigint;
  readonly allocationBytes: bigint;
  /** The length of the file, which the capacity of a formatted image is not; only some pools tell. */
  readonly lengthBytes: bigint | undefined;
  /** Since the epoch; only some pools tell. */
  readonly modifiedAtMs: number | undefined;
  /** The immediate parent only, as libvirt shows it: a path, or an image header's raw string. */
  readonly backingPath: string | undefined;
  readonly permissions: Permissions | undefined;
}

/** @throws LibvirtError when it is no document of a volume, or one with sizes that are none. */
export function parseVolumeXml(xml: string): DescribedVolume {
  const texts = readVolumeForm(xml) ?? volumeTexts(xml);
  return {
    path: texts.path ?? '',
    type: VOLUME_TYPES.find((known) => known === texts.type) ?? 'unknown',
    format: texts.format,
    capacityBytes: parseBytes(texts.capacity),
    allocationBytes: parseBytes(texts.allocation),
    lengthBytes: parseLength(texts.physical),
    modifiedAtMs: parseTime(texts.modifiedAt),
    backingPath: texts.backingPath,
    permissions: parsePermissions(texts),
  };
}

/** When the file of a volume changed last, to the nanosecond since the epoch. */
export interface VolumeTimes {
  readonly modifiedAtNs: bigint | undefined;
  /** When content, owner or mode changed (ctime), which nobody can set. */
  readonly changedAtNs: bigint | undefined;
}

/** @throws LibvirtError when it is no document of a volume. */
export function readVolumeTimes(xml: string): VolumeTimes {
  const { modifiedAt, changedAt } = readVolumeForm(xml) ?? volumeTexts(xml);
  return { modifiedAtNs: parseTimeNs(modifiedAt), changedAtNs: parseTimeNs(changedAt) };
}

/** The texts of a document of any form. @throws LibvirtError as `parseXml`. */
export function volumeTexts(xml: string): VolumeTexts {
  const volume = parseXml(xml, 'volume');
  return {
    type: textAt(volume, '@type'),
    path: textAt(volume, 'target', 'path'),
    format: textAt(volume, 'target', 'format', '@type'),
    capacity: textAt(volume, 'capacity'),
    allocation: textAt(volume, 'allocation'),
    physical: textAt(volume, 'physical'),
    modifiedAt: textAt(volume, 'target', 'timestamps', 'mtime'),
    changedAt: textAt(volume, 'target', 'timestamps', 'ctime'),
    mode: textAt(volume, 'target', 'permissions', 'mode'),
    owner: textAt(volume, 'target', 'permissions', 'owner'),
    group: textAt(volume, 'target', 'permissions', 'group'),
    backingPath: textAt(volume, 'backingStore', 'path'),
  };
}

function parsePermissions({ mode, owner, group }: VolumeTexts): Permissions | undefined {
  if (mode === undefined || !/^0[0-7]{3,4}$/.test(mode)) return undefined;
  return { mode, owner: Number(parseBytes(owner)), group: Number(parseBytes(group)) };
}

/** libvirt always writes volume sizes in bytes. */
function parseBytes(text: string | undefined): bigint {
  if (text === undefined || !/^\d+$/.test(text)) {
    throw new LibvirtError(`cannot parse the XML of a volume that libvirt returned: '${text ?? ''}' is not a size`);
  }
  return BigInt(text);
}

function parseLength(text: string | undefined): bigint | undefined {
  return text === undefined ? undefined : parseBytes(text);
}

/** libvirt writes `SECONDS.NANOSECONDS`, without the fraction when it is zero. */
function parseTimeNs(text: string | undefined): bigint | undefined {
  const match = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(text ?? '');
  if (match?.[1] === undefined) return undefined;
  return BigInt(match[1]) * 1_000_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}

function parseTime(text: string | undefined): number | undefined {
  const match = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(text ?? '');
  if (match?.[1] === undefined) return undefined;
  return Number(match[1]) * 1000 + Math.trunc(Number((match[2] ?? '').padEnd(9, '0')) / 1_000_000);
}
