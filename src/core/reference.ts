/**
 * Something named in a document or an image header that may need a volume.
 * - `path`: absolute or relative path of a file or device on the host
 * - `dir`: a directory; it covers everything below it
 * - `volume`: a volume by name in a storage pool
 * - `network`: a name on a network protocol, as in `<source protocol='rbd' name='pool/image'/>`
 * - `text`: free text that may contain any of them (command lines, undecidable backing strings)
 */
export type Reference = (
  | { readonly kind: 'path' | 'dir' | 'text'; readonly value: string }
  | { readonly kind: 'volume'; readonly value: string; readonly pool: string }
  | { readonly kind: 'network'; readonly value: string; readonly protocol: string }
) & {
  /** Where it stands: an XPath, or the name of a header field. */
  readonly evidence: string;
};

/** The kinds of documents that poolkeeper knows how to read references from. */
export type DocumentKind =
  | 'domain'
  | 'domainsnapshot'
  | 'domaincheckpoint'
  | 'domainbackup'
  | 'domstatus'
  | 'volume'
  | 'pool';

/** One XML document of libvirt, and whose it is. */
export interface LibvirtDocument {
  /** What the user would call it, e.g. `domain web1, inactive XML`. */
  readonly name: string;
  readonly xml: string;
}

/** Something that could not be seen. Nothing it concerns may be deleted. */
export interface BlindSpot {
  /** What could not be seen, e.g. `domain 'web1': snapshot XML`. */
  readonly what: string;
  /** Why, e.g. libvirt's message. */
  readonly cause: string;
  /** What the administrator can do so that it is seen next time. */
  readonly remedy: string;
  /** Which volumes it could concern: all of them, or those named by these references. */
  readonly concerns: 'everything' | readonly Reference[];
  /** The id of the node whose own content could not be understood; that does not speak for keeping the node itself. */
  readonly holder?: string;
}
