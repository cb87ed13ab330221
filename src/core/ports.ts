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

/** Says when now is. The only clock that plans see. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}
