import connect from 'undici/lib/api/api-connect.js';
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';

/** What undici needs for proxies, beside what `http-client.ts` loads; it asks them for tunnels by `connect`. */
export { default as Pool } from 'undici/lib/dispatcher/pool.js';
export { default as ProxyAgent } from 'undici/lib/dispatcher/proxy-agent.js';

Object.assign(Dispatcher.prototype, { connect });
