import type { Dispatcher } from 'undici';

import { basicAuthorization } from './address.ts';
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
  readonly #dispatchers = new Map<string, Promise<Dispatcher>>();

  constructor(settings: ProxySettings, timeouts: Timeouts) {
    this.#settings = settings;
    this.#timeouts = timeouts;
  }

  /** @throws UsageError when the environment names an unusable proxy. */
  async routeTo(url: URL): Promise<Route> {
    const proxy = proxyFor(url, this.#settings);
    const key = proxy?.href ?? 'direct';
    const dispatcher = this.#dispatchers.get(key) ?? (proxy === undefined ? this.#direct() : this.#through(proxy));
    this.#dispatchers.set(key, dispatcher);
    return { dispatcher: await dispatcher, proxy };
  }

  /** Ends every connection, also those in use. */
  async close(): Promise<void> {
    const dispatchers = await Promise.allSettled(this.#dispatchers.values());
    this.#dispatchers.clear();
    // One that could not be opened has told so to whoever wanted it.
    await Promise.all(dispatchers.map(async (opened) => opened.status === 'fulfilled' && opened.value.destroy()));
  }

  async #direct(): Promise<Dispatcher> {
    const { Agent } = await import('./http-client.ts');
    return new Agent({ connect: { timeout: this.#timeouts.connectMs } });
  }

  async #through(proxy: URL): Promise<Dispatcher> {
    // The methods of dispatchers come with the client; a static import would have the bundle load it with what all commands share.
    await import('./http-client.ts');
    const { Pool, ProxyAgent } = await import('./proxy-client.ts');
    const { connectMs, headersMs } = this.#timeouts;
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
