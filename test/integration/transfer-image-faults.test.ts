import { expect } from 'chai';

import type { Fault } from '../support/http-fault.ts';
import type { FaultOptions } from '../support/http-server.ts';
import { startImageBench, type Outcome } from '../support/image-bench.ts';
import { makeTransferFixture, type TransferFixture } from '../support/transfer-fixture.ts';

const FULL = 2_621_440;

interface FaultCase {
  readonly title: string;
  readonly faults: readonly (readonly [Fault, FaultOptions?])[];
  readonly expected: Outcome;
}

const SOURCE = { exit: 11, code: 'POOLKEEPER_SOURCE' };
const INTEGRITY = { exit: 15, code: 'POOLKEEPER_INTEGRITY' };
const DONE = { exit: undefined, code: undefined };
const WHOLE = [undefined];
const FIVE_TIMES = Array.from({ length: 5 }, () => undefined);
const ONCE: FaultOptions = { times: 1 };
const LATER: FaultOptions = { after: 1 };

const CASES: readonly FaultCase[] = [
  {
    title: 'refuses an image that is answered with status 403, before a sink is opened (statement 34)',
    faults: [[{ kind: 'status', status: 403 }]],
    expected: { ...SOURCE, sinks: [], ranges: WHOLE },
  },
  {
    title: 'gives up on status 500 after four retries (statement 34)',
    faults: [[{ kind: 'status', status: 500 }]],
    expected: { ...SOURCE, sinks: [], ranges: FIVE_TIMES },
  },
  {
    title: 'comes back after two answers of 503 with Retry-After',
    faults: [[{ kind: 'status', status: 503, headers: { 'retry-after': '1' } }, { times: 2 }]],
    expected: { ...DONE, sinks: ['finished'], ranges: [undefined, undefined, undefined] },
  },
  {
    title: 'refuses a page of HTML by its size, before a sink is opened (statement 34)',
    faults: [[{ kind: 'html' }]],
    expected: { ...INTEGRITY, sinks: [], ranges: WHOLE },
  },
  {
    title: 'continues a connection that was cut at 30 % (statement 36)',
    faults: [[{ kind: 'truncate', afterBytes: 786_432 }, ONCE]],
    expected: { ...DONE, sinks: ['finished'], ranges: [undefined, 'bytes=786432-'] },
  },
  {
    title: 'continues again and again while there is progress (statement 36)',
    faults: [[{ kind: 'truncate', afterBytes: 400_000 }]],
    expected: {
      ...DONE,
      sinks: ['finished'],
      ranges: [undefined, ...[1, 2, 3, 4, 5, 6].map((part) => `bytes=${part * 400_000}-`)],
    },
  },
  {
    title: 'gives up after four breaks without progress, and finishes nothing',
    faults: [
      [{ kind: 'truncate', afterBytes: 786_432 }, ONCE],
      [{ kind: 'truncate', afterBytes: 0 }, LATER],
    ],
    expected: {
      ...SOURCE,
      sinks: ['aborted'],
      ranges: [undefined, ...Array.from({ length: 5 }, () => 'bytes=786432-')],
    },
  },
  {
    title: 'continues a connection that fell silent (statement 36)',
    faults: [[{ kind: 'stall', afterBytes: 1_048_576 }, ONCE]],
    expected: { ...DONE, sinks: ['finished'], ranges: [undefined, 'bytes=1048576-'] },
  },
  {
    title: 'begins again with a fresh sink when the server ignores Range (statement 36)',
    faults: [[{ kind: 'truncate', afterBytes: 786_432 }, ONCE], [{ kind: 'ignore-range' }]],
    expected: { ...DONE, sinks: ['aborted', 'finished'], ranges: [undefined, 'bytes=786432-', undefined] },
  },
  {
    title: 'begins again when the entity tag has changed in between (statement 36)',
    faults: [
      [{ kind: 'truncate', afterBytes: 786_432 }, ONCE],
      [{ kind: 'etag', value: '"new"' }, LATER],
    ],
    expected: { ...DONE, sinks: ['aborted', 'finished'], ranges: [undefined, 'bytes=786432-', undefined] },
  },
  {
    title: 'begins again when Content-Range starts elsewhere',
    faults: [
      [{ kind: 'truncate', afterBytes: 786_432 }, ONCE],
      [{ kind: 'content-range', value: `bytes 0-${FULL - 1}/${FULL}` }],
    ],
    expected: { ...DONE, sinks: ['aborted', 'finished'], ranges: [undefined, 'bytes=786432-', undefined] },
  },
  {
    title: 'begins again when Content-Range names another total',
    faults: [
      [{ kind: 'truncate', afterBytes: 786_432 }, ONCE],
      [{ kind: 'content-range', value: `bytes 786432-${FULL - 1}/${FULL + 1}` }],
    ],
    expected: { ...DONE, sinks: ['aborted', 'finished'], ranges: [undefined, 'bytes=786432-', undefined] },
  },
  {
    title: 'begins again when the server gives no validator',
    faults: [[{ kind: 'no-validators' }], [{ kind: 'truncate', afterBytes: 786_432 }, ONCE]],
    expected: { ...DONE, sinks: ['aborted', 'finished'], ranges: [undefined, undefined] },
  },
  {
    title: 'gives up when a server without Range breaks five times at the same place',
    faults: [[{ kind: 'no-validators' }], [{ kind: 'truncate', afterBytes: 786_432 }]],
    expected: { ...SOURCE, sinks: FIVE_TIMES.map(() => 'aborted'), ranges: FIVE_TIMES },
  },
  {
    title: 'asks again when the connection breaks before the first byte',
    faults: [[{ kind: 'truncate', afterBytes: 0 }, ONCE]],
    expected: { ...DONE, sinks: ['finished'], ranges: [undefined, undefined] },
  },
  {
    title: 'refuses a flipped byte by its digest (statement 26)',
    faults: [[{ kind: 'flip', offset: 2_000_000 }]],
    expected: { ...INTEGRITY, sinks: ['aborted'], ranges: WHOLE },
  },
  {
    title: 'refuses an image one byte long by its Content-Length, before a sink is opened (statement 26)',
    faults: [[{ kind: 'extra', bytes: 1 }]],
    expected: { ...INTEGRITY, sinks: [], ranges: WHOLE },
  },
  {
    title: 'refuses an image one byte long when that shows only at its end (statement 26)',
    faults: [[{ kind: 'extra', bytes: 1, chunked: true }]],
    expected: { ...INTEGRITY, sinks: ['aborted'], ranges: WHOLE },
  },
  {
    title: 'refuses an image one byte short by its Content-Length, before a sink is opened (statement 26)',
    faults: [[{ kind: 'short', bytes: 1 }]],
    expected: { ...INTEGRITY, sinks: [], ranges: WHOLE },
  },
  {
    title: 'refuses an image one byte short when that shows only at its end (statement 26)',
    faults: [[{ kind: 'short', bytes: 1, chunked: true }]],
    expected: { ...INTEGRITY, sinks: ['aborted'], ranges: WHOLE },
  },
  {
    title: 'refuses a wrong Content-Length, before a sink is opened',
    faults: [[{ kind: 'content-length', value: FULL + 10 }]],
    expected: { ...INTEGRITY, sinks: [], ranges: WHOLE },
  },
  {
    title: 'follows a redirect',
    faults: [[{ kind: 'redirect', to: '/disk.img' }, ONCE]],
    expected: { ...DONE, sinks: ['finished'], ranges: [undefined, undefined] },
  },
  {
    title: 'gives up on redirects that do not end',
    faults: [[{ kind: 'redirect', to: '/disk.img' }]],
    expected: { ...SOURCE, sinks: [], ranges: Array.from({ length: 11 }, () => undefined) },
  },
  {
    title: 'refuses a content coding that it did not ask for, before a sink is opened',
    faults: [[{ kind: 'gzip' }]],
    expected: { ...SOURCE, sinks: [], ranges: WHOLE },
  },
  {
    title: 'takes an image from a slow server',
    faults: [[{ kind: 'slow', bytesPerSecond: 20 * FULL }]],
    expected: { ...DONE, sinks: ['finished'], ranges: WHOLE },
  },
];

describe('image transfer from a server at fault', () => {
  let fixture: TransferFixture;

  before(async () => {
    fixture = await makeTransferFixture();
  });

  after(() => fixture.remove());

  for (const { title, faults, expected } of CASES) {
    it(title, async () => {
      const bench = await startImageBench(fixture);
      const { server, sinks } = bench;
      for (const [fault, options] of faults) server.fault('/disk.img', fault, options);
      const outcome = await bench.outcomeOf(bench.transfer());
      await server.stop();
      expect(outcome).to.deep.equal(expected);
      const finished = sinks.filter(({ state }) => state === 'finished');
      expect(finished.every((sink) => sink.bytes().equals(fixture.image))).to.equal(true);
    });
  }
});
