import { decodeBackingString } from '../core/backing-string.ts';
import { PoolkeeperError } from '../errors.ts';
import {
  directoryOf,
  type Findings,
  type ImageFormat,
  type ImageInspection,
  type ImageReader,
  type OpenedImage,
} from './image.ts';
import { inspectQcow, inspectQcow2 } from './inspect-qcow.ts';
import { inspectQed } from './inspect-qed.ts';
import { inspectSavedDomain } from './inspect-saved-domain.ts';
import { inspectVdi, inspectVpc } from './inspect-vhd-vdi.ts';
import { inspectVmdk } from './inspect-vmdk.ts';
import type { QemuImgInfo } from './qemu-img.ts';
import { detectFormat, mayBeVmdkText } from './signature.ts';

/** What an inspection may call on beyond the image's own bytes. */
export interface InspectionContext {
  /** For the formats without a reader of their own; only images on this host can be shown to it. */
  readonly runQemuImg?: QemuImgInfo;
}

const HEAD_BYTES = 65_536;

/** Nearly all headers that need no more than this end before it, and every magic that tells a format. */
const FIRST_BYTES = 2048;

const INSPECTORS: Readonly<Record<ImageFormat, (image: OpenedImage, context: InspectionContext) => Promise<Findings>>> =
  {
    qcow: inspectQcow,
    qcow2: inspectQcow2,
    qed: inspectQed,
    vmdk: inspectVmdk,
    vpc: inspectVpc,
    vdi: inspectVdi,
    'saved-domain': inspectSavedDomain,
    vhdx: (image, context) => inspectByQemuImg('vhdx', image, context),
    parallels: (image, context) => inspectByQemuImg('parallels', image, context),
    raw: async () => ({}),
    unknown: async () => ({ undecided: 'the image could not be read' }),
  };

/**
 * Reads from an image's header which other files it needs, one link deep. The format is told by content, never by
 * name. What has no known magic is raw and needs nothing. Whatever cannot be read, is malformed or cannot be followed
 * comes back as `undecided`: an inspection never fails because of the image and never takes doubt for "nothing".
 */
export async function inspectImage(reader: ImageReader, context: InspectionContext = {}): Promise<ImageInspection> {
  let format: ImageFormat = 'unknown';
  try {
    const head = await readHead(reader);
    format = detectFormat(head);
    const findings = await INSPECTORS[format]({ reader, head, directory: directoryOf(reader.path) }, context);
    return { ...inspection(format, findings), ...(head.length === 0 && { isEmpty: true }) };
  } catch (error) {
    if (!(error instanceof PoolkeeperError)) throw error;
    return inspection(format, { undecided: error.message, remedy: error.hint });
  }
}

/**
 * The first bytes of an image. What is qcow2 asks for more itself when these do not do; what shows no magic, and cannot be
 * the text of a VMDK, is raw with all of its bytes, too.
 */
async function readHead(reader: ImageReader): Promise<Uint8Array> {
  const first = await reader.read(0n, FIRST_BYTES);
  const format = detectFormat(first);
  const isEnough = format === 'qcow2' || (format === 'raw' && !mayBeVmdkText(first));
  return isEnough || first.length < FIRST_BYTES ? first : reader.read(0n, HEAD_BYTES);
}

function inspection(
  format: ImageFormat,
  { references = [], statedFormats, undecided, remedy, savedDomainXml }: Findings,
): ImageInspection {
  return {
    format,
    references,
    ...(statedFormats !== undefined && statedFormats.size > 0 && { statedFormats }),
    undecided,
    remedy,
    savedDomainXml,
  };
}

async function inspectByQemuImg(
  format: 'vhdx' | 'parallels',
  image: OpenedImage,
  context: InspectionContext,
): Promise<Findings> {
  const { path } = image.reader;
  if (path === undefined || context.runQemuImg === undefined) {
    return { undecided: `the parent of a ${format} image can only be read by qemu-img on its own host` };
  }
  const name = await context.runQemuImg(path, format);
  if (name === undefined || name === '') return {};
  return { references: decodeBackingString(name, image.directory, 'qemu-img info: backing-filename') };
}
