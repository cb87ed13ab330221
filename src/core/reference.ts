/**
 * Something named in a document or an image header that may need a volume.
 * - `path`: absolute or relative path of a file or device on the host
 * - `dir`: a directory; it covers everything below it. One that is read as a FAT disk covers what its links lead to as well
 * - `volume`: a volume by name in a storage pool
 * - `network`: a name on a network protocol, as in `<source protocol='rbd' name='pool/image'/>`
 * - `text`: free text that may contain any of them (command lines, undecidable backing strings)
 */
export type Reference = (
  | { readonly kind: 'path' | 'text'; readonly value: string }
  | { readonly kind: 'dir'; readonly value: string; readonly isFat?: true }
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
  /** It tells what was, and may be again: a snapshot, a checkpoint, a saved state. */
  readonly isHistorical?: boolean;
}

/** A name that something needs and that leads to nothing now: a question, never an answer. */
export type AbsentName =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'volume'; readonly pool: string; readonly volume: string }
  | { readonly kind: 'network'; readonly protocol: string; readonly name: string };

/**
 * What kind of thing keeps poolkeeper from deleting.
 * - `unseen`: something cannot be read, or cannot be understood; the default
 * - `absent`: a name that leads to nothing; `forget` can answer it
 * - `right`: this run may not prove that nobody has a file open, or may not remove it; no force overrides it
 * - `remote`: the files are not those of this host; no force overrides it, only `delete --now` goes on
 * - `shared storage`: other hosts can see the files; no force overrides it
 * - `claim`: leases or locks that cannot be read; no force overrides it, since none overrides a lease or a lock
 */
export type BlindSpotKind = 'unseen' | 'absent' | 'right' | 'remote' | 'shared storage' | 'claim';

/** Something that could not be seen. Nothing it concerns may be deleted. */
export interface BlindSpot {
  readonly kind?: BlindSpotKind;
  /** What could not be seen, e.g. `domain 'web1': snapshot XML`. */
  readonly what: string;
  /** Why, e.g. libvirt's message. */
  readonly cause: string;
  /** What the administrator can do so that it is seen next time. */
  readonly remedy: string;
  /** Which volumes it could concern: all of them, those of one storage pool, or those named by these references. */
  readonly concerns: 'everything' | { readonly pool: string } | readonly Reference[];
  /** The id of the node whose own content could not be understood; that does not speak for keeping the node itself. */
  readonly holder?: string;
}

/** Whether something keeps this run from deleting in a pool at all, whatever needs its volumes. No force overrides that. */
export function isHindrance({ kind = 'unseen' }: Pick<BlindSpot, 'kind'>): boolean {
  return kind === 'right' || kind === 'remote' || kind === 'shared storage';
}
