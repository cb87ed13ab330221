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
 * Options of V8 that suit what undici does. They are no interface, so they are set only in the versions in which they were tried:
 * Node 20 has V8 11, Node 24 has 13. And they are set only now: what Node keeps compiled of its own modules is of no use to a V8
 * with other options, and by now most of them are loaded.
 */
// oxlint-disable-next-line no-restricted-globals -- nothing else tells which V8 this is
const version = Number.parseInt(process.versions.v8, 10);
if (version >= 11 && version <= 13) {
  // HTTP is parsed in WebAssembly, by one large function. To optimize it takes V8 0.1 s of a core and 20 MiB, before which no process
  // ends, and makes nothing faster here: of a body it is called once for each 64 KiB.
  setFlagsFromString('--liftoff-only');
  // Node receives into a new buffer of 64 KiB each time. Every 16 MiB of them V8 begins to search the heap little by little. Where it
  // has to search it at once or not at all, it waits until it collects young objects, which frees the buffers as well.
  setFlagsFromString('--no-incremental-marking');
}
