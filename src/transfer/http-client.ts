import { setFlagsFromString } from 'node:v8';
import request from 'undici/lib/api/api-request.js';
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';

/**
 * The parts of undici that direct connections need, a quarter of its modules: its index loads fetch, web sockets, caches, mocks
 * and proxies as well, and gives every dispatcher its methods, of which one is used.
 */
export { default as Agent } from 'undici/lib/dispatcher/agent.js';

Object.assign(Dispatcher.prototype, { request });

/*
 * undici parses HTTP in WebAssembly. After two answers the V8 of Node 20 finds its one large function worth optimizing, for 0.1 s
 * of a core, and no process ends before that is done. Later versions wait for this much more work, of themselves. Said only now:
 * what Node keeps compiled of its own modules is of no use to a V8 with other options, and by now most of them are loaded.
 */
// oxlint-disable-next-line no-restricted-globals -- nothing else tells which V8 this is
if (process.versions.v8.startsWith('11.')) setFlagsFromString('--wasm-tiering-budget=13000000');
