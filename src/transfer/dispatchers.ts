import type { Dispatcher } from 'undici';

import { basicAuthorization } from './address.ts';
import type * as HttpClient from './http-client.ts';
import { proxyFor, type ProxySettings } from './proxy.ts';

/** Limits on a connection, in milliseconds. */
export interface Timeouts {
  readonly connectMs: number;
  readonly headersMs: number;
  /** The longest silence within a body. */
  readonly stallMs: number;
}

/** The way to an origin. */
export interface Route {
  readonly dispatcher: Dispatcher;
  readonly proxy: URL | undefined;
}

/** Connection pools of undici, one for direct connections and one for each proxy, made when first needed. */
export class Dispatchers {
  readonly #settings: ProxySettings;
  readonly #timeouts: Timeouts;
  readonly #dispatchers = new Map<string, Dispatcher>();

  constructor(settings: ProxySettings, timeouts: Timeouts) {
    this.#settings = settings;
    this.#timeouts = timeouts;
  }

  /** @throws UsageError when the environment names an unusable proxy. */
  async routeTo(url: URL): Promise<Route> {
    const proxy = proxyFor(url, this.#settings);
    const client = await import('./http-client.ts');
    const key = proxy?.href ?? 'direct';
    const dispatcher = this.#dispatchers.get(key) ?? this.#open(client, proxy);
    this.#dispatchers.set(key, dispatcher);
    return { dispatcher, proxy };
  }

  /** Ends every connection, also those in use. */
  async close(): Promise<void> {
    await Promise.all([...this.#dispatchers.values()].map((dispatcher) => dispatcher.destroy()));
    this.#dispatchers.clear();
  }

  #open({ Agent, Pool, ProxyAgent }: typeof HttpClient, proxy: URL | undefined): Dispatcher {
    const { connectMs, headersMs } = this.#timeouts;
    if (proxy === undefined) return new Agent({ connect: { timeout: connectMs } });
    const token = basicAuthorization(proxy);
    return new ProxyAgent({
      uri: proxy.origin,
      ...(token === undefined ? {} : { token }),
      // Proxies usually forbid CONNECT to port 80, so plain http goes in absolute form.
      proxyTunnel: false,
      proxyTls: { timeout: connectMs },
      clientFactory: (origin, options) => new Pool(origin, { ...options, headersTimeout: headersMs }),
    });
  }
}
