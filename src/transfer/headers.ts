export type Headers = Readonly<Record<string, string>>;

/** What a `Content-Range: bytes first-last/total` header says; `total` is `undefined` for `*`. */
interface ContentRange {
  readonly first: bigint;
  readonly last: bigint;
  readonly total: bigint | undefined;
}

/** Makes one text of each header; repeated ones are joined with commas (RFC 9110, section 5.2). */
export function flattenHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const flat: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat.push([name.toLowerCase(), Array.isArray(value) ? value.join(', ') : value]);
  }
  return Object.fromEntries(flat);
}

/** The same headers without some names. */
export function withoutHeaders(headers: Headers, names: readonly string[]): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}

/** Reads a `Content-Length`; `undefined` when missing or not a plain decimal number. */
export function parseContentLength(value: string | undefined): bigint | undefined {
  return value !== undefined && /^\d{1,18}$/.test(value) ? BigInt(value) : undefined;
}

/** Reads the `Content-Range` of a 206; `undefined` when missing or malformed (RFC 9110, section 14.4). */
export function parseContentRange(value: string | undefined): ContentRange | undefined {
  const match = /^bytes (\d{1,18})-(\d{1,18})\/(\d{1,18}|\*)$/i.exec(value ?? '');
  const [, first, last, total] = match ?? [];
  if (first === undefined || last === undefined || total === undefined) return undefined;
  return { first: BigInt(first), last: BigInt(last), total: total === '*' ? undefined : BigInt(total) };
}

/**
 * What `If-Range` may carry: a strong entity tag, else the date of the last change (RFC 9110, section 13.1.5);
 * `undefined` when the server gave neither, so that nothing can be continued.
 */
export function rangeValidator(headers: Headers): string | undefined {
  const etag = headers['etag'];
  return etag?.startsWith('"') === true ? etag : headers['last-modified'];
}

/** The coding of a body, in lower case; `identity` when there is none. */
export function contentCoding(headers: Headers): string {
  const coding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  return coding === '' ? 'identity' : coding;
}
