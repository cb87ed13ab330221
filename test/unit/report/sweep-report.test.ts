import { expect } from 'chai';
import { encodeVolumeName } from '../../../src/core/identity.ts';
import type { KeepReason, PoolVolume, Verdict } from '../../../src/core/sweep-plan.ts';
import { LibvirtError } from '../../../src/errors.ts';
import { createReporter } from '../../../src/report/reporter.ts';
import {
  chainFields,
  incompleteView,
  reasonFields,
  reasonText,
  showSwept,
  showVerdicts,
  volumeText,
} from '../../../src/report/sweep-report.ts';
import { blindSpot, domain, edge, volume as node } from '../core/graph.ts';

const volume: PoolVolume = {
  pool: 'uvtool',
  name: 'web1.qcow2',
  key: '/pool/web1.qcow2',
  path: '/pool/web1.qcow2',
  type: 'file',
  capacityBytes: 4096n,
  allocationBytes: 1536n,
  lengthBytes: 1536n,
  modifiedAtMs: 0,
};
const what = "volume 'web1.qcow2' in pool 'uvtool'";

const direct = {
  cause: 'domain web1',
  link: { from: domain('domain web1'), edge: edge('/pool/top') },
  parent: undefined,
};
const through = { cause: 'domain web1', link: { from: node('top'), edge: edge('/pool/web1.qcow2') }, parent: direct };

const REASONS: readonly (readonly [KeepReason, text: string, fields: object])[] = [
  [
    { kind: 'needed', need: direct },
    'needed by domain web1',
    { reason: 'needed', cause: 'domain web1', chain: chainFields(direct) },
  ],
  [
    { kind: 'needed', need: through },
    'needed by domain web1 through volume top',
    { reason: 'needed', cause: 'domain web1', chain: chainFields(through) },
  ],
  [
    { kind: 'needed', need: { cause: 'volume x is not managed', link: undefined, parent: undefined } },
    'needed by volume x is not managed',
    { reason: 'needed', cause: 'volume x is not managed', chain: [] },
  ],
  [
    { kind: 'grace', eligibleAt: 0 },
    'needed until recently, eligible at 1970-01-01T00:00:00.000Z',
    { reason: 'grace', eligible_at: '1970-01-01T00:00:00.000Z' },
  ],
  [
    { kind: 'young', eligibleAt: 1000 },
    'changed recently, eligible at 1970-01-01T00:00:01.000Z',
    { reason: 'young', eligible_at: '1970-01-01T00:00:01.000Z' },
  ],
  [
    { kind: 'unseen', blindSpots: [blindSpot(), blindSpot('everything', { what: 'pool b' })] },
    'not everything could be seen (domain web1, pool b)',
    {
      reason: 'unseen',
      blind_spots: [
        { what: 'domain web1', cause: 'no answer', remedy: 'ask again' },
        { what: 'pool b', cause: 'no answer', remedy: 'ask again' },
      ],
    },
  ],
  [{ kind: 'volume type' }, 'it is neither a file nor a block device', { reason: 'volume type' }],
];

function printed(show: (reporter: ReturnType<typeof createReporter>) => void, verbose = false): string {
  const lines: string[] = [];
  const sink = { write: (text: string) => lines.push(text) };
  show(createReporter({ stdout: sink, stderr: sink, json: false, quiet: false, verbose, env: {}, isJournal: false }));
  return lines.join('');
}

describe('the report of a sweep', () => {
  it('calls a volume by its image where the name says so', () => {
    const name = encodeVolumeName({ product: 'noble', version: '1' }, 'dir');
    expect(volumeText({ pool: 'uvtool', name })).to.equal('image noble 1');
    expect(volumeText(volume)).to.equal(what);
  });

  for (const [reason, text, fields] of REASONS) {
    it(`explains: ${text}`, () => {
      expect(reasonText(reason)).to.equal(text);
      expect(reasonFields(reason)).to.deep.equal(fields);
    });
  }

  it('shows every link of a chain from the root on', () => {
    expect(chainFields(through)).to.deep.equal([
      { from: 'domain web1', document: 'a document', evidence: 'here', kind: 'path', value: '/pool/top' },
      { from: 'volume top', document: 'a document', evidence: 'here', kind: 'path', value: '/pool/web1.qcow2' },
    ]);
  });

  const verdicts: readonly Verdict[] = [
    { action: 'delete', volume },
    { action: 'keep', volume, reason: { kind: 'volume type' } },
  ];
  const keeps = `keep ${what}: it is neither a file nor a block device\n`;

  it('announces deletions and reasons in a dry run', () => {
    expect(printed((to) => showVerdicts(verdicts, to, true))).to.equal(`would delete ${what} (1.5 KiB)\n${keeps}`);
  });

  it('leaves deletions to the deed in a real run, and reasons to -v', () => {
    expect(printed((to) => showVerdicts(verdicts, to, false))).to.equal('');
    expect(printed((to) => showVerdicts(verdicts, to, false), true)).to.equal(keeps);
  });

  it('says what became of each volume', () => {
    const error = new LibvirtError('cannot delete it', { hint: 'look' });
    expect(printed((to) => showSwept({ result: 'deleted', volume }, to, 0))).to.equal(
      `deleted ${what} (1.5 KiB freed)\n`,
    );
    expect(
      printed((to) => showSwept({ result: 'spared', volume, why: 'changed', reason: 'it changed' }, to, 0)),
    ).to.equal(`spared ${what}: it changed\n`);
    expect(printed((to) => showSwept({ result: 'failed', volume, error }, to, 0))).to.equal(
      'poolkeeper: error: cannot delete it\npoolkeeper: hint: look\n',
    );
  });

  it('has no refusal when everything could be seen', () => {
    expect(incompleteView(verdicts)).to.equal(undefined);
  });

  it('names each blind spot once, with what would clear it', () => {
    const spot = blindSpot();
    const unseen = { action: 'keep', volume, reason: { kind: 'unseen', blindSpots: [spot] } } as const;
    const error = incompleteView([unseen, unseen]);
    expect([error?.message, error?.hint, error?.exitStatus]).to.deep.equal([
      'did not delete 2 unused volume(s), because not everything could be seen:\n  domain web1: no answer; ask again',
      'clear the cause of each, then run again',
      13,
    ]);
  });
});
