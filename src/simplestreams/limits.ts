/** What a source may at most ask of this machine. Real feeds stay an order of magnitude below (6 MB, 14,000 items). */
export const LIMITS = {
  indexBytes: 4 * 1024 * 1024,
  productsBytes: 64 * 1024 * 1024,
  /** All documents of a stream together. */
  streamBytes: 128 * 1024 * 1024,
  signatureBytes: 256 * 1024,
  /** A signed line beyond this is refused: gpg cuts lines at about 20,000 bytes, so tools would disagree on the text. */
  signedLineBytes: 16 * 1024,
  /** Objects, arrays and commas in one document: bounds products, versions, items and tags at once. */
  jsonValues: 4_000_000,
  jsonDepth: 64,
  jsonStringBytes: 64 * 1024,
  tagsPerLevel: 1_000,
  indexDepth: 5,
  documents: 256,
  documentTimeoutMs: 10 * 60 * 1000,
  /** How far a signature's date may lie ahead of this machine's clock. */
  clockSkewMs: 24 * 60 * 60 * 1000,
} as const;
