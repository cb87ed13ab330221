import { expect } from 'chai';
import type { ImageRecord } from '../../../src/core/record.ts';
import { planVerification } from '../../../src/core/verify-plan.ts';

const DIGEST = { algorithm: 'sha256', hex: 'ab' } as const;

function provenance(more: Partial<ImageRecord['provenance']> = {}): ImageRecord['provenance'] {
  const file = { source: undefined, itemPath: undefined, sizeBytes: 5n, digest: DIGEST, signer: undefined };
  return { ...file, broughtBy: 'test', ...more };
}

describe('planVerification', () => {
  it('reads what has a checksum', () => {
    expect(planVerification({ provenance: provenance() })).to.deep.equal({
      action: 'read',
      digest: DIGEST,
      sizeBytes: 5n,
    });
  });

  it('skips what a domain writes to, whatever is known of it', () => {
    const traits = { type: 'os', isPersistent: true } as const;
    expect(planVerification({ provenance: provenance(), traits })).to.include({ action: 'skip' });
  });

  it('gives up on what has no checksum, and says why where it is known', () => {
    const reason = 'no checksum of it is known';
    expect(planVerification({ provenance: provenance({ digest: undefined }) })).to.deep.equal({
      action: 'give up',
      reason,
    });
    const uvtool = { action: 'give up', reason: `${reason}, since uvtool brought it` };
    expect(planVerification(undefined)).to.deep.equal(uvtool);
    expect(planVerification({ provenance: provenance({ digest: undefined, broughtBy: 'uvtool' }) })).to.deep.equal(
      uvtool,
    );
  });
});
