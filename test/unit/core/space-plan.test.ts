import { expect } from 'chai';
import * as fc from 'fast-check';
import { planRoom } from '../../../src/core/space-plan.ts';
import type { SyncStep } from '../../../src/core/sync-plan.ts';

const MIB = 2n ** 20n;
const digest = { algorithm: 'sha256', hex: 'ab'.repeat(32) } as const;

describe('planRoom', () => {
  it('lets those images come that fit, in the order of the plan', () => {
    const steps = [fetch('a', 6n * MIB), fetch('b', 5n * MIB), fetch('c', 3n * MIB)];
    expect(planRoom(steps, { availableBytes: 10n * MIB, reserveBytes: 0n })).to.deep.equal([
      steps[0],
      {
        action: 'skip',
        image: image('b', 5n * MIB),
        volumeName: 'b',
        reason: 'it needs 5 MiB, and 4 MiB are free for it',
        lacksRoom: true,
      },
      steps[2],
    ]);
  });

  it('keeps the reserve free, even where it is larger than the pool', () => {
    const steps = [fetch('a', 6n * MIB)];
    const lacking = (reserveBytes: bigint) =>
      planRoom(steps, { availableBytes: 10n * MIB, reserveBytes }).map(({ action }) => action);
    expect([lacking(4n * MIB), lacking(4n * MIB + 1n), lacking(99n * MIB)]).to.deep.equal([
      ['fetch'],
      ['skip'],
      ['skip'],
    ]);
  });

  it('does not count what is here already', () => {
    const steps = [fetch('a', 6n * MIB, 5n * MIB)];
    expect(planRoom(steps, { availableBytes: MIB, reserveBytes: 0n })).to.deep.equal(steps);
  });

  it('judges nothing where the room is not known, and no other steps', () => {
    const steps = [fetch('a', 6n * MIB)];
    expect(planRoom(steps, { availableBytes: undefined, reserveBytes: MIB })).to.equal(steps);
    const offer: SyncStep = { action: 'offer', image: image('a', 6n * MIB), volumeName: 'a' };
    expect(planRoom([offer], { availableBytes: 0n, reserveBytes: 0n })).to.deep.equal([offer]);
  });

  it('never lets more come than there is room for, and loses no step', () => {
    const sizes = fc.array(fc.tuple(fc.bigInt(1n, 1000n), fc.bigInt(0n, 1000n)), { maxLength: 20 });
    fc.assert(
      fc.property(sizes, fc.bigInt(0n, 5000n), fc.bigInt(0n, 5000n), (images, availableBytes, reserveBytes) => {
        const steps = images.map(([size, held], index) => fetch(`${index}`, size, held < size ? held : size));
        const planned = planRoom(steps, { availableBytes, reserveBytes });
        const needed = planned.reduce(
          (sum, step) => (step.action === 'fetch' ? sum + step.image.sizeBytes - (step.partial?.heldBytes ?? 0n) : sum),
          0n,
        );
        const room = availableBytes > reserveBytes ? availableBytes - reserveBytes : 0n;
        expect({ fits: needed <= room, names: planned.map(({ volumeName }) => volumeName) }).to.deep.equal({
          fits: true,
          names: steps.map(({ volumeName }) => volumeName),
        });
      }),
    );
  });
});

function image(product: string, sizeBytes: bigint) {
  return { identity: { product, version: '1' }, path: 'p', sizeBytes, digest, tags: {}, signer: undefined };
}

function fetch(product: string, sizeBytes: bigint, heldBytes?: bigint): SyncStep {
  const partial =
    heldBytes === undefined
      ? undefined
      : { intentId: 1, sizeBytes, digest, heldBytes, etag: undefined, lastModified: undefined };
  return { action: 'fetch', image: image(product, sizeBytes), volumeName: product, partial };
}
