import { expect } from 'chai';
import { assert, constantFrom, property, string } from 'fast-check';
import type { RunNote } from '../../../src/core/run-note.ts';
import { metricsText, type PoolFigures } from '../../../src/report/metrics-text.ts';
import { parseMetrics } from '../../support/metrics.ts';

/** What is special in the format, and what might be taken for it. */
const TEXT = string({
  unit: constantFrom('"', '\\', '\n', '\r', '{', '}', ',', '=', '#', ' ', 'n', 'é', '林', '\u2028'),
});

const RUN: RunNote = {
  command: 'sync',
  pool: 'uvtool',
  startedAt: 1_790_000_000_000,
  endedAt: 1_790_000_012_345,
  exitStatus: 3,
  succeededAt: 1_789_990_000_000,
  failures: { source: 2, bug: 1 },
};

const FIGURES: PoolFigures = {
  pool: 'uvtool',
  images: new Map([
    ['active', 3],
    ['deleted', 9],
  ]),
  offeredImages: 2,
  heldBytes: 2n ** 60n,
  reclaimableBytes: 0n,
  trashBytes: 4096n,
  trashFreedAt: 1_790_100_000_000,
  blindSpots: 1,
  documents: new Map([['https://example.com/releases/', 1_789_000_000_000]]),
};

function samplesOf(metrics: Partial<Parameters<typeof metricsText>[0]>): Record<string, number> {
  return Object.fromEntries(parseMetrics(metricsText({ version: '1.2.3', runs: [], figures: undefined, ...metrics })));
}

describe('the text of metrics', () => {
  it('says how the last run of each command ended, with a zero for what did not fail', () => {
    const run = 'command="sync",pool="uvtool"';
    const none = ['libvirt', 'trust', 'incomplete_view', 'locked', 'integrity', 'in_use', 'no_space'];
    expect(samplesOf({ runs: [RUN] })).to.deep.equal({
      'poolkeeper_build_info{version="1.2.3"}': 1,
      [`poolkeeper_last_run_timestamp_seconds{${run}}`]: 1_790_000_012.345,
      [`poolkeeper_last_success_timestamp_seconds{${run}}`]: 1_789_990_000,
      [`poolkeeper_last_run_exit_status{${run}}`]: 3,
      [`poolkeeper_last_run_duration_seconds{${run}}`]: 12.345,
      [`poolkeeper_last_run_failures{${run},kind="source"}`]: 2,
      [`poolkeeper_last_run_failures{${run},kind="bug"}`]: 1,
      ...Object.fromEntries(none.map((kind) => [`poolkeeper_last_run_failures{${run},kind="${kind}"}`, 0])),
    });
  });

  it('leaves out a success that there never was', () => {
    expect(Object.keys(samplesOf({ runs: [{ ...RUN, succeededAt: undefined }] })).join()).not.to.contain('success');
  });

  it('says what the pool holds', () => {
    const pool = 'pool="uvtool"';
    const none = ['queued', 'saving', 'importing', 'deactivated', 'pending_delete', 'killed'];
    expect(samplesOf({ figures: FIGURES })).to.deep.equal({
      'poolkeeper_build_info{version="1.2.3"}': 1,
      [`poolkeeper_images{${pool},status="active"}`]: 3,
      ...Object.fromEntries(none.map((status) => [`poolkeeper_images{${pool},status="${status}"}`, 0])),
      [`poolkeeper_images_offered{${pool}}`]: 2,
      [`poolkeeper_held_bytes{${pool}}`]: 2 ** 60,
      [`poolkeeper_reclaimable_bytes{${pool}}`]: 0,
      [`poolkeeper_trash_bytes{${pool}}`]: 4096,
      [`poolkeeper_trash_freed_timestamp_seconds{${pool}}`]: 1_790_100_000,
      [`poolkeeper_blind_spots{${pool}}`]: 1,
      [`poolkeeper_source_document_timestamp_seconds{${pool},source="https://example.com/releases/"}`]: 1_789_000_000,
    });
  });

  it('escapes what labels hold', () => {
    const samples = samplesOf({ runs: [{ ...RUN, pool: 'a"b\\c\nd' }] });
    expect(samples).to.have.property(
      'poolkeeper_last_run_exit_status{command="sync",pool="a\\"b\\\\c\\nd"}',
      RUN.exitStatus,
    );
  });

  it('is valid whatever pools and sources are called', () => {
    assert(
      property(TEXT, TEXT, (pool, source) => {
        const figures = { ...FIGURES, pool, documents: new Map([[source, 0]]) };
        expect(Object.keys(samplesOf({ runs: [{ ...RUN, pool }], figures }))).to.have.lengthOf(28);
      }),
    );
  });
});
