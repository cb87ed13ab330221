/** An address as it goes over the wire, and the `Authorization` header that its user information stands for. */
export interface Address {
  readonly url: URL;
  readonly authorization: string | undefined;
}

/** Takes `user:password@` out of an address and turns it into Basic authentication (RFC 7617, UTF-8). */
export function splitCredentials(address: URL): Address {
  const url = new URL(address);
  url.username = '';
  url.password = '';
  return { url, authorization: basicAuthorization(address) };
}

/** The `Basic` header for an address's user information; `undefined` when it has none. */
export function basicAuthorization({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  return `Basic ${Buffer.from(`${decodePercent(username)}:${decodePercent(password)}`).toString('base64')}`;
}

/** An address fit for messages: no user information, no fragment, and no query, which may carry a signature that grants access. */
export function publicAddress(address: URL): string {
  const { url } = splitCredentials(address);
  url.hash = '';
  if (url.search !== '') url.search = '?...';
  return url.href;
}

/** The URL parser lets a stray `%` in user information stand; so do we. */
function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
