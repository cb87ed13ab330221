import { expect } from 'chai';
import type { ImageInspection, ImageReader } from '../../../src/image-format/image.ts';
import { inspectImage } from '../../../src/image-format/inspect-image.ts';
import { type Qcow2Parts } from './qcow2-image.ts';

export function readerOf(bytes: string | Uint8Array, path: string | undefined = '/pool/top.img'): ImageReader {
  const image = Buffer.from(bytes);
  return {
    path,
    read: async (offset, length) => {
      expect(length).to.be.within(0, 4 << 20);
      const start = Number(offset < image.length ? offset : BigInt(image.length));
      return image.subarray(start, start + length);
    },
  };
}

export function inspectBytes(bytes: string | Uint8Array): Promise<ImageInspection> {
  return inspectImage(readerOf(bytes));
}

export function found(format: string, parts: Partial<ImageInspection> = {}): unknown {
  return { format, references: [], undecided: undefined, remedy: undefined, savedDomainXml: undefined, ...parts };
}

export const path = (value: string, evidence: string) => ({ kind: 'path', value, evidence }) as const;
export const text = (value: string, evidence: string) => ({ kind: 'text', value, evidence }) as const;

export function withBacking(name: string): Qcow2Parts {
  return { backing: { offset: 512n, length: Buffer.byteLength(name), name } };
}

/** A header of `length` bytes with numbers and texts at their offsets. */
export function header(
  magic: string,
  length: number,
  fields: readonly (readonly [offset: number, hex: string])[],
): Buffer {
  const bytes = Buffer.alloc(length);
  bytes.write(magic, 'latin1');
  for (const [offset, hex] of fields) bytes.write(hex, offset, 'hex');
  return bytes;
}

export function qed(features: string, offset: string, length: string, tail = ''): Buffer {
  const fixed = header('QED\0', 64, [
    [16, features],
    [56, offset],
    [60, length],
  ]);
  return Buffer.concat([fixed, Buffer.from(tail)]);
}

export function savedDomain(version: string, length: string, xml: string, magic = 'LibvirtQemudSave'): Buffer {
  const fixed = header(magic, 92, [
    [16, version],
    [20, length],
  ]);
  return Buffer.concat([fixed, Buffer.from(xml)]);
}

export const DESCRIPTOR = '# Disk DescriptorFile\nversion=1\nCID=11111111\n';
export const NO_PARENT = 'parentCID=ffffffff\n';
