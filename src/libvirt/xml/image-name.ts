import { decodeImageName, type ImageName } from '../../core/backing-string.ts';

/**
 * Decodes the name of an image as it stands in a document: a backing string, or a file name as QEMU takes it on its
 * command line. Unlike in a header, a relative path stays one, since nobody knows where it starts from; and an export
 * without a name names nothing.
 */
export function readImageName(text: string): readonly ImageName[] {
  const name = text.replace(/^(?:file|host_device|host_cdrom):(?!\/)/, '');
  if (!hasProtocol(name)) return [{ kind: 'path', value: name }];
  return decodeImageName(text, undefined).filter(({ value }) => value !== '');
}

/** A colon before the first slash makes a protocol. `[datastore] …` is a path of VMware. */
function hasProtocol(text: string): boolean {
  return /^[^/:[]*:/.test(text);
}
