import { expect } from 'chai';
import type { SyncStep } from '../../../src/core/sync-plan.ts';
import { createReporter } from '../../../src/report/reporter.ts';
import { showDone, showPlan, showStart } from '../../../src/report/sync-report.ts';

const identity = { product: 'noble', version: '2' };
const digest = { algorithm: 'sha256', hex: 'ab' } as const;
const image = { identity, path: 'p', sizeBytes: 1536n, digest, tags: {}, signer: undefined };
const volumeName = 'x-uvt-b64-x';
const retire = { action: 'retire', identity, volumeName, replacedBy: 'y', item: {} } as const;

const STEPS: readonly (readonly [SyncStep, plan: string, done: string])[] = [
  [
    { action: 'fetch', image, volumeName, partial: undefined },
    'fetch image noble 2 (1.5 KiB)',
    'fetched image noble 2 (1.5 KiB)',
  ],
  [{ action: 'offer', image, volumeName }, 'offer image noble 2', 'offered image noble 2'],
  [
    { action: 'adopt', image, volumeName },
    'check the volume of image noble 2 and offer it',
    'checked and offered image noble 2',
  ],
  [
    { action: 'enlist', identity, item: {}, volumeName },
    'enlist image noble 2, which uvtool brought',
    'enlisted image noble 2, which uvtool brought',
  ],
  [{ ...retire, retained: false }, 'withdraw image noble 2 from the offer', 'withdrew image noble 2 from the offer'],
  [
    { ...retire, retained: true },
    'withdraw image noble 2 from the offer and retain it',
    'withdrew image noble 2 from the offer; it is retained',
  ],
  [
    { action: 'forget', identity, volumeName },
    'remove the metadata of image noble 2, which has no volume',
    'removed the metadata of image noble 2, which had no volume',
  ],
  [
    { action: 'skip', image, volumeName, reason: 'it is disabled' },
    'skip image noble 2: it is disabled',
    'skipped image noble 2: it is disabled',
  ],
];

function printed(show: (reporter: ReturnType<typeof createReporter>) => void, json = false): string {
  const lines: string[] = [];
  const sink = { write: (text: string) => lines.push(text) };
  show(createReporter({ stdout: sink, stderr: sink, json, quiet: false, verbose: true, env: {}, isJournal: false }));
  return lines.join('');
}

describe('the report of a sync', () => {
  for (const [step, plan, done] of STEPS) {
    it(`plans: ${plan}`, () => expect(printed((to) => showPlan([step], to))).to.equal(`would ${plan}\n`));
    it(`says: ${done}`, () => expect(printed((to) => showDone(step, undefined, to))).to.equal(`${done}\n`));
    it(`announces ${step.action} only if it takes long`, () => {
      expect(printed((to) => showStart(step, to))).to.equal(step.action === 'fetch' ? `${plan}\n` : '');
    });
  }

  it('says as JSON what a step is about', () => {
    expect(
      STEPS.slice(0, 1).map(([step]) => JSON.parse(printed((to) => showPlan([step], to), true)) as unknown),
    ).to.deep.equal([
      { message_type: 'plan', action: 'fetch', product: 'noble', version: '2', volume: volumeName, size_bytes: 1536 },
    ]);
  });
});
