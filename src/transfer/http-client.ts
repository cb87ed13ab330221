/**
 * The parts of undici that are used here, a third of its modules: its index loads fetch, web sockets, caches and mocks as well.
 * Beside that, it gives every dispatcher its methods, `request` and what proxies need, and so this does.
 */
import methods from 'undici/lib/api/index.js';
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';

export { default as Agent } from 'undici/lib/dispatcher/agent.js';
export { default as Pool } from 'undici/lib/dispatcher/pool.js';
export { default as ProxyAgent } from 'undici/lib/dispatcher/proxy-agent.js';

Object.assign(Dispatcher.prototype, methods);
