import type { CachedDocument, DocumentCache, SignatureVerdict } from '../../src/core/ports.ts';

/** A DocumentCache in memory whose content tests may look at and damage. */
export interface MemoryDocumentCache extends DocumentCache {
  readonly documents: Map<string, CachedDocument>;
  readonly verdicts: Map<string, SignatureVerdict>;
}

/** An empty cache. */
export function memoryDocumentCache(): MemoryDocumentCache {
  const documents = new Map<string, CachedDocument>();
  const verdicts = new Map<string, SignatureVerdict>();
  return {
    documents,
    verdicts,
    read: async (url) => documents.get(url),
    write: async (url, document) => void documents.set(url, document),
    readVerdict: async (key) => verdicts.get(key),
    writeVerdict: async (key, verdict) => void verdicts.set(key, verdict),
  };
}
