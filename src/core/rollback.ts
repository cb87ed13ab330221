/** A document of a source, as far as its age is concerned. */
export interface DatedDocument {
  readonly url: string;
  /** The document's own date, in milliseconds since the epoch; `undefined` when it states none that can be read. */
  readonly updatedAtMs: number | undefined;
}

/** A document that is older than the one that was accepted last. */
export interface Rollback {
  readonly url: string;
  readonly acceptedAtMs: number;
  /** `undefined`: the document no longer says how old it is. */
  readonly offeredAtMs: number | undefined;
}

/**
 * Finds the documents that went back in time. A signature proves who wrote a document, not that it is the newest: whoever
 * controls a mirror could replay an old one to bring back images with known holes.
 *
 * @param accepted the dates of the documents that were accepted last, by address.
 */
export function findRollbacks(
  offered: readonly DatedDocument[],
  accepted: ReadonlyMap<string, number>,
): readonly Rollback[] {
  return offered.flatMap(({ url, updatedAtMs }) => {
    const acceptedAtMs = accepted.get(url);
    if (acceptedAtMs === undefined || (updatedAtMs !== undefined && updatedAtMs >= acceptedAtMs)) return [];
    return [{ url, acceptedAtMs, offeredAtMs: updatedAtMs }];
  });
}
