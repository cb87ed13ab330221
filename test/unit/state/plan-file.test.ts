import { expect } from 'chai';
import { mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import type { GcPlan } from '../../../src/core/gc-plan.ts';
import { FailureError, IntegrityError, UsageError } from '../../../src/errors.ts';
import { readPlan, writePlan } from '../../../src/state/plan-file.ts';
import { rejection, temporaryDir } from './support.ts';

const VOLUME = { key: '/pool/a', capacityBytes: 2n ** 62n, allocationBytes: 5n };
const PLAN: GcPlan = {
  program: 'poolkeeper 0.1.0',
  host: 'h',
  uri: 'qemu:///system',
  pool: { name: 'uvtool', uuid: 'u' },
  madeAt: 1_700_000_000_123,
  policy: {
    graceMs: 0,
    minAgeMs: 7_200_000,
    retention: {
      policy: { keepVersions: 3, unusedForMs: 1, maxSizeBytes: 2n ** 60n, gone: 'drop-when-unused' },
      sources: new Map([
        ['https://a/', { keepVersions: 2, maxSizeBytes: 1n }],
        ['https://b/', {}],
      ]),
    },
  },
  premises: { inventory: 'i', useGraph: 'g', sources: 's' },
  steps: [
    {
      action: 'retire',
      identity: { product: 'p', version: '1' },
      volume: { ...VOLUME, name: 'a', lengthBytes: 6n, modifiedAtMs: -1 },
      reason: 'replaced',
    },
    {
      action: 'delete',
      identity: { product: 'p', version: '2' },
      volume: { ...VOLUME, name: 'b', lengthBytes: undefined, modifiedAtMs: undefined },
      reason: 'withdrawn',
    },
  ],
};

describe('a plan file', () => {
  const at = temporaryDir();

  /** Writes a plan, changes its text, and reads it back. */
  async function reading(change: (text: string) => string): Promise<unknown> {
    await rm(at('plan'), { force: true });
    await writePlan(at('plan'), PLAN);
    const text = await readFile(at('plan'), 'utf8');
    expect(change(text)).not.to.equal(text);
    await writeFile(at('plan'), change(text));
    return rejection(readPlan(at('plan')));
  }

  it('gives back what was written, however it is laid out', async () => {
    await writePlan(at('plan'), PLAN);
    expect(await readPlan(at('plan'))).to.deep.equal(PLAN);
    expect((await stat(at('plan'))).mode & 0o777).to.equal(0o640);
    await writeFile(at('plan'), JSON.stringify(JSON.parse(await readFile(at('plan'), 'utf8'))));
    expect(await readPlan(at('plan'))).to.deep.equal(PLAN);
    const { policy } = PLAN;
    const bare = { keepVersions: 1, unusedForMs: undefined, maxSizeBytes: undefined, gone: 'keep' } as const;
    const plain = { ...PLAN, steps: [], policy: { ...policy, retention: { policy: bare, sources: new Map() } } };
    await writePlan(at('plan'), plain);
    expect(await readPlan(at('plan'))).to.deep.equal(plain);
  });

  it('is refused when anything in it was changed', async () => {
    await writePlan(at('plan'), PLAN);
    const text = await readFile(at('plan'), 'utf8');
    const digits = [...text.matchAll(/\d/g)].map(({ index }) => index);
    for (const index of digits) {
      const digit = text[index] === '9' ? '8' : String(Number(text[index]) + 1);
      await writeFile(at('plan'), text.slice(0, index) + digit + text.slice(index + 1));
      const error = await rejection(readPlan(at('plan')));
      expect(error, text.slice(index - 30, index + 5)).to.satisfy(
        (reason: unknown) => reason instanceof IntegrityError || reason instanceof FailureError,
      );
    }
  });

  it('is told from one of a newer format, a damaged one, and something else', async () => {
    expect(await reading((text) => text.replace('"formatVersion": 1', '"formatVersion": 2'))).to.be.instanceOf(
      FailureError,
    );
    expect(await reading((text) => text.slice(1))).to.be.instanceOf(IntegrityError);
    expect(await reading((text) => text.replace('"delete"', '"keep"'))).to.be.instanceOf(IntegrityError);
    expect(await reading(() => '{"products": {}}')).to.be.instanceOf(UsageError);
    expect(await rejection(readPlan(at('none')))).to.be.instanceOf(FailureError);
  });

  it('replaces a plan, of whatever format, and nothing else', async () => {
    await writeFile(at('plan'), '{"kind": "poolkeeper gc plan", "formatVersion": 9}');
    await writePlan(at('plan'), PLAN);
    expect(await readPlan(at('plan'))).to.deep.equal(PLAN);
    for (const content of ['', 'precious', '{}', '[]']) {
      await writeFile(at('other'), content);
      expect(await rejection(writePlan(at('other'), PLAN))).to.be.instanceOf(UsageError);
      expect(await readFile(at('other'), 'utf8')).to.equal(content);
    }
    await mkdir(at('dir'));
    await symlink(at('plan'), at('link'));
    for (const name of ['dir', 'link']) expect(await rejection(writePlan(at(name), PLAN))).to.be.instanceOf(UsageError);
    expect(await rejection(writePlan(at('none/plan'), PLAN))).to.be.instanceOf(FailureError);
  });
});
