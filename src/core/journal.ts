import type { Identity } from './identity.ts';
import type { Digest } from './record.ts';
import type { Replacement } from './replacement.ts';

/**
 * What a run is about to do, noted before it starts.
 * - `fetch`: create a volume and fill it from a source
 * - `publish`: write a metadata file, so that the image is offered
 * - `retire`: remove a metadata file
 * - `delete`: delete a volume
 * - `create`: make a volume and fill it from elsewhere than a source; while it is open, the volume is not complete
 * - `replace`: give a volume another content under the same name
 */
export type JournalIntent =
  | {
      readonly kind: 'fetch';
      readonly volumeName: string;
      readonly identity: Identity;
      /** Without credentials. */
      readonly url: string;
      readonly sizeBytes: bigint;
      readonly digest: Digest;
    }
  | { readonly kind: 'publish' | 'retire'; readonly identity: Identity }
  | { readonly kind: 'create'; readonly volumeName: string; readonly identity: Identity }
  | { readonly kind: 'delete'; readonly volumeName: string; readonly volumeKey: string }
  | ({ readonly kind: 'replace' } & Replacement);

/** Facts about the progress of an intent, such as the validators of a half-fetched image. */
export type JournalNotes = Readonly<Record<string, string>>;

/** An intent that was begun and not done: its effects may be there wholly, partly or not at all. */
export interface OpenIntent {
  readonly id: number;
  readonly intent: JournalIntent;
  readonly notes: JournalNotes;
}
