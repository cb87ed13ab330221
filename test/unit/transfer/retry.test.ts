import { expect } from 'chai';

import { backoffMs, isTransientStatus, retryAfterMs } from '../../../src/transfer/retry.ts';

describe('retries', () => {
  it('wait twice as long each time, up to 30 s', () => {
    const longest = () => 0.999_999_999;
    const waits = [0, 1, 2, 3, 4, 5, 6, 7, 60, 2000].map((attempt) => Math.round(backoffMs(attempt, longest)));
    expect(waits).to.deep.equal([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  });

  it('leave the upper half of the wait to chance', () => {
    const waits = [0, 0.5].map((chance) => backoffMs(1, () => chance));
    expect(waits).to.deep.equal([500, 750]);
  });

  it('follow Retry-After in seconds or as a date, within bounds, and ignore what is neither', () => {
    const date = 'Fri, 20 Nov 2026 12:00:00 GMT';
    const waits = [
      { 'retry-after': '3' },
      { 'retry-after': '99999999999999999999' },
      { date, 'retry-after': 'Fri, 20 Nov 2026 12:00:05 GMT' },
      { date, 'retry-after': 'Fri, 20 Nov 2026 11:00:00 GMT' },
      { date, 'retry-after': 'Sat, 21 Nov 2026 12:00:00 GMT' },
      { 'retry-after': 'Fri, 20 Nov 2026 12:00:05 GMT' },
      { date, 'retry-after': 'soon' },
      {},
    ].map((headers) => retryAfterMs(headers));
    expect(waits).to.deep.equal([3000, 30_000, 5000, 0, 30_000, 0, 0, 0]);
  });

  it('are for statuses that pass', () => {
    const statuses = [200, 206, 304, 400, 401, 403, 404, 407, 410, 416, 429, 500, 501, 502, 503, 504, 505];
    expect(statuses.filter(isTransientStatus)).to.deep.equal([429, 500, 502, 503, 504]);
  });
});
