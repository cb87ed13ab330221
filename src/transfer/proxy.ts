import { UsageError } from '../errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Which proxy serves which address, as the usual environment variables say. */
export interface ProxySettings {
  readonly http: string | undefined;
  readonly https: string | undefined;
  readonly direct: readonly DirectHost[] | 'every host';
}

interface DirectHost {
  readonly host: string;
  readonly port: string | undefined;
}

/**
 * Reads `http_proxy`, `https_proxy` and `no_proxy` as undici's EnvHttpProxyAgent does: lower case wins, an empty value
 * means none, `http_proxy` alone also serves https, `all_proxy` is ignored.
 */
export function readProxySettings(environment: Environment): ProxySettings {
  const http = variable(environment, 'http_proxy');
  return {
    http,
    https: variable(environment, 'https_proxy') ?? http,
    direct: parseNoProxy(variable(environment, 'no_proxy') ?? ''),
  };
}

/**
 * The proxy for an address, `undefined` for a direct connection. A value without a scheme (`host:3128`) is an http proxy.
 *
 * @throws UsageError when the proxy's address cannot be used; the message does not repeat it, as it may hold a password.
 */
export function proxyFor(url: URL, settings: ProxySettings): URL | undefined {
  const value = url.protocol === 'https:' ? settings.https : settings.http;
  return value === undefined || isDirect(url, settings) ? undefined : parseProxy(value);
}

function variable(environment: Environment, name: string): string | undefined {
  const value = (environment[name] ?? environment[name.toUpperCase()])?.trim();
  return value === '' ? undefined : value;
}

function parseNoProxy(value: string): ProxySettings['direct'] {
  if (value === '*') return 'every host';
  return value
    .split(/[,\s]+/)
    .filter((entry) => entry !== '')
    .map(parseDirectHost);
}

function parseDirectHost(entry: string): DirectHost {
  const [, host, port] = /^(.+):(\d+)$/.exec(entry) ?? [undefined, entry, undefined];
  return { host: (host ?? entry).replace(/^\*?\./, '').toLowerCase(), port };
}

function isDirect(url: URL, { direct }: ProxySettings): boolean {
  if (direct === 'every host') return true;
  const port = url.port === '' ? defaultPort(url) : url.port;
  return direct.some(
    (entry) =>
      (entry.port === undefined || entry.port === port) &&
      (url.hostname === entry.host || url.hostname.endsWith(`.${entry.host}`)),
  );
}

function defaultPort(url: URL): string {
  return url.protocol === 'https:' ? '443' : '80';
}

function parseProxy(value: string): URL {
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const proxy = URL.canParse(address) ? new URL(address) : undefined;
  if (proxy === undefined || !['http:', 'https:'].includes(proxy.protocol)) {
    throw new UsageError('cannot use the proxy that the environment names', {
      hint: 'give http_proxy and https_proxy as http://host:port',
    });
  }
  return proxy;
}
