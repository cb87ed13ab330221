import type { ImageFormat } from './image.ts';

interface Signature<Name> {
  readonly name: Name;
  readonly offset?: number;
  readonly magic: string;
}

const FORMATS: readonly Signature<ImageFormat>[] = [
  { name: 'qcow', magic: 'QFI\xfb\0\0\0\x01' },
  { name: 'qcow2', magic: 'QFI\xfb' },
  { name: 'qed', magic: 'QED\0' },
  { name: 'vmdk', magic: 'KDMV' },
  { name: 'vmdk', magic: 'COWD' },
  { name: 'vhdx', magic: 'vhdxfile' },
  { name: 'vpc', magic: 'conectix' },
  { name: 'vdi', offset: 64, magic: '\x7f\x10\xda\xbe' },
  { name: 'parallels', magic: 'WithoutFreeSpace' },
  { name: 'parallels', magic: 'WithouFreSpacExt' },
  { name: 'saved-domain', magic: 'LibvirtQemudSave' },
  { name: 'saved-domain', magic: 'LibvirtQemudPart' },
];

const DISKS: readonly Signature<string>[] = [
  { name: 'a LUKS volume', magic: 'LUKS\xba\xbe' },
  { name: 'an ISO 9660 image', offset: 0x8001, magic: 'CD001' },
  { name: 'a raw disk with a boot sector', offset: 510, magic: '\x55\xaa' },
];

const OTHER_CONTENT: readonly Signature<string>[] = [
  { name: 'gzip', magic: '\x1f\x8b' },
  { name: 'xz', magic: '\xfd7zXZ\0' },
  { name: 'zstd', magic: '\x28\xb5\x2f\xfd' },
  { name: 'bzip2', magic: 'BZh' },
  { name: 'zip', magic: 'PK\x03\x04' },
  { name: 'a tar archive', offset: 257, magic: 'ustar' },
  ...DISKS,
];

/** Which format the first bytes of an image show; `raw` when none. A VMDK may also begin with a text descriptor. */
export function detectFormat(head: Uint8Array): ImageFormat {
  return FORMATS.find((signature) => matches(head, signature))?.name ?? (isVmdkDescriptor(head) ? 'vmdk' : 'raw');
}

/** Whether the first bytes are those of an image of any kind: `IMAGE_HEAD_BYTES` are enough to tell. */
export function isImageHead(head: Uint8Array): boolean {
  return detectFormat(head) !== 'raw' || DISKS.some((signature) => matches(head, signature));
}

/** As far as the marks of images reach. */
export const IMAGE_HEAD_BYTES = 0x8006;

/** What the first bytes look like, in words for a message. */
export function describeContent(head: Uint8Array): string {
  if (head.length === 0) return 'empty';
  const format = detectFormat(head);
  if (format !== 'raw') return format;
  if (/^\s*<(?:!doctype|html|head|body|\?xml)/iu.test(latin1(head.subarray(0, 512)))) return 'an HTML or XML document';
  return OTHER_CONTENT.find((signature) => matches(head, signature))?.name ?? 'raw or unknown data';
}

/** Whether a VMDK text descriptor begins here: wider than QEMU's vmdk_probe, since a domain may name the format itself. */
function isVmdkDescriptor(head: Uint8Array): boolean {
  if (!mayBeVmdkText(head)) return false;
  return /^# *disk descriptorfile|^version=\d|parent(?:CID|FileNameHint)\s*=/imu.test(latin1(head));
}

/** Whether these bytes may begin a VMDK text descriptor, of which the telling part may come later. */
export function mayBeVmdkText(head: Uint8Array): boolean {
  return head[0] === 0x23;
}

function matches(head: Uint8Array, { offset = 0, magic }: Signature<string>): boolean {
  for (let index = 0; index < magic.length; index += 1) {
    if (head[offset + index] !== magic.charCodeAt(index)) return false;
  }
  return true;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
