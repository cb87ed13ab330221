/** Where fetched bytes come from. `http(s):` and `file:` URLs are served by one implementation, so callers see no difference. */
export interface Fetcher {
  fetch(url: URL, request: FetchRequest): Promise<FetchResponse>;
}

export interface FetchRequest {
  /** Lower-case header names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Follow redirects from https to http: only for content whose digest is already trusted. */
  readonly allowInsecureRedirect?: boolean;
}

export interface FetchResponse {
  readonly status: number;
  /** Lower-case header names. */
  readonly headers: Readonly<Record<string, string>>;
  /** The address that answered, after redirects. */
  readonly url: URL;
  /** Must be read to its end or destroyed with `discard`. Errors while reading are PoolkeeperErrors. */
  readonly body: AsyncIterable<Uint8Array>;
  discard(): void;
}

/** Where image bytes go. `finish` resolves only when the receiver has confirmed all of them. */
export interface ImageSink {
  /** `chunk` may be reused by the caller once the promise resolves. */
  write(chunk: Uint8Array): Promise<void>;
  finish(): Promise<void>;
  /** Gives up without an error; safe after any failure. */
  abort(): Promise<void>;
}

/** Shows people how far long work is. No result depends on it. */
export interface Progress {
  /** Begins a piece of work: one with a known number of bytes, or one whose end cannot be foreseen. */
  start(label: string, totalBytes?: bigint): ProgressTask;
}

/** One piece of long work; it must be ended, however the work went. */
export interface ProgressTask {
  /** How many bytes are done by now; falls back when the work begins anew. */
  reach(this: void, bytes: bigint): void;
  end(this: void): void;
}

/** Says when now is. The only clock that plans see. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds since the boot; by default as the kernel tells. */
  sinceBoot?(): number;
}

/** Keeps fetched documents and the verdicts on their signatures between runs. Losing it costs only time. */
export interface DocumentCache {
  /** `undefined` when nothing usable is kept for that address. */
  read(url: string): Promise<CachedDocument | undefined>;
  write(url: string, document: CachedDocument): Promise<void>;
  /** `key` stands for everything the verdict depends on: document bytes, keyring bytes, pins and policy version. */
  readVerdict(key: string): Promise<SignatureVerdict | undefined>;
  writeVerdict(key: string, verdict: SignatureVerdict): Promise<void>;
}

export interface CachedDocument {
  readonly bytes: Uint8Array;
  /** As the server sent them, kept verbatim (RFC 9110, section 8.8). */
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** A signature that was found good. */
export interface SignatureVerdict {
  /** Upper-case hex fingerprint of the primary key. */
  readonly fingerprint: string;
  readonly signedAtMs: number;
  /** What was signed, as the verifier returned it. */
  readonly payload: Uint8Array;
}
