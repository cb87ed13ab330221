import { IntegrityError } from '../errors.ts';
import { decodeName, findingsOfName, mergeFindings, viewOf } from './header-text.ts';
import type { Findings, OpenedImage } from './image.ts';
import { parseQcow2Header, QCOW2_INCOMPATIBLE, qcow2HeaderAreaBytes, type Qcow2Header } from './qcow2.ts';

const MAX_NAME_BYTES = 1023;
const KNOWN_FEATURES = Object.values(QCOW2_INCOMPATIBLE).reduce((all, bit) => all | bit, 0n);

/** Reads backing file and data file of a qcow2 image. Throws IntegrityError when the header is malformed. */
export async function inspectQcow2({ reader, head, directory }: OpenedImage): Promise<Findings> {
  const header = parseWithin(head) ?? parseQcow2Header(await reader.read(0n, qcow2HeaderAreaBytes(head)));
  const [backing, data] = [backingFindings(header, directory), dataFindings(header, directory)];
  const stated = (findings: Findings, format: string): readonly (readonly [string, string])[] =>
    (findings.references ?? []).map(({ value }) => [value, format]);
  const { backingFormat } = header;
  const formats = [...(backingFormat === undefined ? [] : stated(backing, backingFormat)), ...stated(data, 'raw')];
  return {
    ...[backing, data, featureFindings(header)].reduce(mergeFindings),
    statedFormats: new Map(formats),
  };
}

/** The header, if all that belongs to it lies within these bytes: parsing never goes beyond them. */
function parseWithin(head: Uint8Array): Qcow2Header | undefined {
  try {
    return parseQcow2Header(head);
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    return undefined;
  }
}

/** Reads the backing file of a qcow image, version 1. */
export async function inspectQcow({ reader, head, directory }: OpenedImage): Promise<Findings> {
  if (head.length < 48) return { undecided: 'the qcow header is cut off' };
  const offset = viewOf(head).getBigUint64(8);
  const length = viewOf(head).getUint32(16);
  if (offset === 0n) return {};
  const name = length > MAX_NAME_BYTES ? new Uint8Array() : await reader.read(offset, length);
  if (name.length < length || name.length === 0) {
    return {
      undecided: `the qcow header names a backing file of ${length} bytes at offset ${offset}, which cannot be read`,
    };
  }
  return findingsOfName(decodeName(name, Number(offset)), directory, 'qcow backing file name');
}

function backingFindings({ backingFile }: Qcow2Header, directory: string | undefined): Findings {
  return backingFile === undefined ? {} : findingsOfName(backingFile, directory, 'qcow2 backing file name');
}

/** QEMU opens a relative data file from its own directory, libvirt from that of the image: both are taken. */
function dataFindings({ dataFile, incompatibleFeatures }: Qcow2Header, directory: string | undefined): Findings {
  const isExternal = (incompatibleFeatures & QCOW2_INCOMPATIBLE.externalDataFile) !== 0n;
  if (dataFile === undefined)
    return isExternal ? { undecided: 'the qcow2 header does not name its external data file' } : {};
  const field = 'qcow2 data file name';
  const fromImage = findingsOfName(dataFile, directory, field);
  const isRelative = directory !== undefined && !dataFile.text.startsWith('/');
  return isRelative ? mergeFindings(fromImage, findingsOfName(dataFile, undefined, field)) : fromImage;
}

/** An unknown incompatible feature may add a file that this program does not know of. */
function featureFindings({ incompatibleFeatures }: Qcow2Header): Findings {
  const unknown = incompatibleFeatures & ~KNOWN_FEATURES;
  return unknown === 0n
    ? {}
    : { undecided: `the qcow2 header has unknown incompatible features 0x${unknown.toString(16)}` };
}
