import { expect } from 'chai';
import * as fc from 'fast-check';
import { identityText } from '../../../src/core/identity.ts';
import { IMAGE_STATUSES, type ImageStatus } from '../../../src/core/lifecycle.ts';
import { planSync } from '../../../src/core/sync-plan.ts';
import { brief, factsOf, held, type Host, identityOf, plan, UNKNOWN, UVTOOL } from './sync-host.ts';

describe('planSync', () => {
  describe('in the four cases of metadata and volume', () => {
    it('does nothing when both are there', () => {
      expect(plan({ ...held('1'), wanted: ['1'] })).to.deep.equal([]);
    });
    it('(18) fetches when neither is there', () => {
      expect(plan({ wanted: ['1'] })).to.deep.equal(['fetch 1']);
    });
    it('(24) forgets metadata without a volume before it fetches', () => {
      expect(plan({ wanted: ['1'], metadata: ['1'] })).to.deep.equal(['forget 1', 'fetch 1']);
      expect(plan({ wanted: ['1'], metadata: ['1'], records: { 1: 'active' } })).to.deep.equal(['forget 1', 'fetch 1']);
    });
    it('(24) offers a volume whose metadata is missing, without a download', () => {
      expect(plan({ ...held('1'), wanted: ['1'], metadata: [] })).to.deep.equal(['offer 1']);
    });
  });

  describe('when the source now describes another item of a version that is held', () => {
    const other = { ...UVTOOL, digest: { algorithm: 'sha256', hex: 'cd'.repeat(32) } } as const;
    it('leaves what is offered as it is', () => {
      const host = { ...held('1'), wanted: ['1'], offeredTags: { release: 'other' } };
      expect(plan({ ...host, provenance: other })).to.deep.equal([]);
      expect(plan(host)).to.deep.equal(['offer 1']);
    });
    it('does not offer the one under the name of the other', () => {
      expect(plan({ ...held('1'), wanted: ['1'], metadata: [], provenance: other })).to.deep.equal([
        'skip 1: another item of this version is held',
      ]);
    });
  });

  describe('for versions, as resolve_work would', () => {
    for (const [what, host, steps] of [
      ['fetches the first version', { wanted: ['10'] }, ['fetch 10']],
      [
        '(20) fetches the newer one before the old one goes',
        { ...held('1'), wanted: ['2'] },
        ['fetch 2', 'retire 1 for 2'],
      ],
      ['(22) goes back when the newest was withdrawn', { ...held('9'), wanted: ['2'] }, ['fetch 2', 'retire 9 for 2']],
      [
        '(22) withdraws the newest even if it keeps several versions',
        { ...held('9'), wanted: ['2'], keepVersions: 3 },
        ['fetch 2', 'retire 9 for 2'],
      ],
      [
        'withdraws every version but the newest from the offer',
        { ...held('1', '2'), metadata: ['1', '2'], wanted: ['3'] },
        ['fetch 3', 'retire 1 for 3', 'retire 2 for 3'],
      ],
      [
        'retains the newest of the old ones when it keeps two',
        { ...held('1', '2'), wanted: ['3'], keepVersions: 2 },
        ['fetch 3', 'retain 2 for 3'],
      ],
      [
        'retains by the order of text',
        { ...held('.1', '.10', '.2'), metadata: ['.1', '.10', '.2'], wanted: ['.3'], keepVersions: 2 },
        ['fetch .3', 'retire .1 for .3', 'retire .10 for .3', 'retain .2 for .3'],
      ],
      ['has nothing to do with a version that is retained', { ...held('1', '2'), wanted: ['2'], keepVersions: 2 }, []],
      ['leaves a retained version to retention when fewer are kept', { ...held('1', '2'), wanted: ['2'] }, []],
      ['(23) leaves a product alone that vanished', { ...held('old/1', 'old/2'), wanted: ['1'] }, ['fetch 1']],
      ['(23) leaves everything alone when nothing is wanted', held('1', '2'), []],
      ['does not offer a volume that waits for deletion', { volumes: ['1'], records: { 1: 'pending_delete' } }, []],
      [
        'brings back a version that waits for deletion',
        { ...held('1'), metadata: [], records: { 1: 'pending_delete' }, wanted: ['1'] },
        ['offer 1'],
      ],
    ] as const satisfies readonly (readonly [string, Host, readonly string[]])[]) {
      it(what, () => expect(plan(host)).to.deep.equal(steps));
    }
  });

  describe('for every record, volume and metadata file', () => {
    const UNLIKE: Readonly<
      Record<ImageStatus | 'none', readonly [bare: readonly string[], offered: readonly string[]]>
    > = {
      none: [['adopt 1'], ['enlist 1']],
      queued: [['adopt 1'], ['enlist 1']],
      saving: [['adopt 1'], ['enlist 1']],
      importing: [['adopt 1'], ['enlist 1']],
      active: [['offer 1'], []],
      deactivated: [['skip 1: it is disabled'], ['skip 1: it is disabled']],
      pending_delete: [['offer 1'], ['offer 1']],
      killed: [['skip 1: an earlier check failed'], ['skip 1: an earlier check failed']],
      deleted: [['adopt 1'], ['enlist 1']],
    };
    for (const status of ['none', ...IMAGE_STATUSES] as const) {
      const records: Host['records'] = status === 'none' ? {} : { 1: status };
      const base: Host = { wanted: ['1'], records };
      const [bare, offered] = UNLIKE[status];
      it(`record ${status}, volume, metadata: ${offered.join(', ') || 'nothing'}`, () => {
        expect(plan({ ...base, volumes: ['1'], metadata: ['1'] })).to.deep.equal(offered);
      });
      it(`record ${status}, volume, no metadata: ${bare.join(', ')}`, () => {
        expect(plan({ ...base, volumes: ['1'] })).to.deep.equal(bare);
      });
      it(`record ${status}, no volume, metadata: forget 1, fetch 1`, () => {
        expect(plan({ ...base, metadata: ['1'] })).to.deep.equal(['forget 1', 'fetch 1']);
      });
      it(`record ${status}, no volume, no metadata: fetch 1`, () => {
        expect(plan(base)).to.deep.equal(['fetch 1']);
      });
    }
  });

  it('gives the reason for which an image was refused', () => {
    const facts = factsOf({ wanted: ['1'], volumes: ['1'], records: { 1: 'killed' } });
    const records = new Map([...facts.records].map(([name, record]) => [name, { ...record, reason: 'wrong digest' }]));
    expect(planSync({ ...facts, records }).map(brief)).to.deep.equal(['skip 1: wrong digest']);
  });

  for (const status of ['active', 'pending_delete'] as const) {
    it(`looks at the content of a ${status} volume of unknown origin before it offers it`, () => {
      const host: Host = { wanted: ['1'], volumes: ['1'], records: { 1: status }, provenance: UNKNOWN };
      expect(plan(host)).to.deep.equal(['adopt 1']);
    });

    it(`takes uvtool's word for the content of a ${status} volume`, () => {
      const host: Host = { wanted: ['1'], volumes: ['1'], records: { 1: status }, provenance: UVTOOL };
      expect(plan(host)).to.deep.equal(['offer 1']);
    });
  }

  it('leaves an image of unknown origin in the offer as it is', () => {
    expect(plan({ ...held('1'), wanted: ['1'], provenance: UNKNOWN })).to.deep.equal([]);
  });

  it('writes the metadata anew when the source changed a tag', () => {
    expect(plan({ ...held('1'), wanted: ['1'], offeredTags: { release: 'jammy' } })).to.deep.equal(['offer 1']);
  });

  it('does not mind that the document was exported anew', () => {
    expect(plan({ ...held('1'), wanted: ['1'], offeredTags: { updated: 'yesterday' } })).to.deep.equal([]);
  });

  it('does not mind tags that only the metadata file has', () => {
    expect(plan({ ...held('1'), wanted: ['1'], offeredTags: { x_note: 'mine' } })).to.deep.equal([]);
  });

  it('(41) enlists what uvtool brought, wanted or not, and fetches none of it', () => {
    const host: Host = { volumes: ['1', 'other/1'], metadata: ['1', 'other/1'], wanted: ['1'] };
    expect(plan(host)).to.deep.equal(['enlist 1', 'enlist other/1']);
  });

  it('leaves an image alone of which something cannot be read', () => {
    const unknown = { 1: "cannot read '/m/1': permission denied" };
    const reason = "skip 1: cannot read '/m/1': permission denied";
    expect(plan({ wanted: ['1'], volumes: ['1'], unknown })).to.deep.equal([reason]);
    expect(plan({ wanted: ['1'], unknown })).to.deep.equal([reason]);
    expect(plan({ ...held('1'), metadata: [], wanted: ['2'], unknown })).to.deep.equal(['fetch 2']);
  });

  it('forgets all metadata without a volume, of products that are not wanted too', () => {
    expect(plan({ metadata: ['1', 'other/1'] })).to.deep.equal(['forget 1', 'forget other/1']);
  });

  it('forgets and enlists before it fetches, and retires last', () => {
    const host: Host = {
      wanted: ['2', 'b/2', 'c/1'],
      volumes: ['1', 'b/1'],
      metadata: ['1', 'b/1', 'c/1'],
      records: { 1: 'active' },
    };
    expect(plan(host)).to.deep.equal([
      'forget c/1',
      'enlist b/1',
      'fetch 2',
      'fetch b/2',
      'fetch c/1',
      'retire 1 for 2',
      'retire b/1 for 2',
    ]);
  });

  const version = fc.constantFrom('1', '2', '3', '4', 'b/1', 'b/2');
  const status = fc.constantFrom(...IMAGE_STATUSES);
  const anyHost: fc.Arbitrary<Host> = fc.record({
    wanted: fc
      .tuple(fc.constantFrom('1', '2', '3', '4'), fc.constantFrom('b/1', 'b/2'))
      .chain((all) => fc.subarray([...all])),
    volumes: fc.uniqueArray(version),
    metadata: fc.uniqueArray(version),
    records: fc.dictionary(version, status),
    keepVersions: fc.integer({ min: 1, max: 4 }),
  });

  it('never takes out of the offer, or away, what is wanted and there', () => {
    fc.assert(
      fc.property(anyHost, (host) => {
        for (const step of planSync(factsOf(host))) {
          if (step.action !== 'retire' && step.action !== 'forget') continue;
          const { product, version: name } = step.identity;
          const isWanted = (host.wanted ?? []).some((text) => identityText(identityOf(text)) === `${product} ${name}`);
          const hasVolume = factsOf(host).volumes.has(step.volumeName);
          expect(step.action === 'retire' ? !isWanted && hasVolume : !hasVolume).to.equal(true);
        }
      }),
    );
  });

  it('decides about every wanted image at most once, and touches no product that is not wanted but to tidy up', () => {
    fc.assert(
      fc.property(anyHost, (host) => {
        const steps = planSync(factsOf(host));
        const arrivals = steps.flatMap((step) => ('image' in step ? [identityText(step.image.identity)] : []));
        expect(new Set(arrivals).size).to.equal(arrivals.length);
        const products = new Set((host.wanted ?? []).map((text) => identityOf(text).product));
        for (const step of steps) {
          if (step.action === 'retire') expect(products.has(step.identity.product)).to.equal(true);
        }
      }),
    );
  });

  it('leaves nothing in the offer but what is wanted, and retains no more than it was told', () => {
    fc.assert(
      fc.property(anyHost, (host) => {
        const facts = factsOf(host);
        const steps = planSync(facts);
        for (const { identity } of facts.wanted) {
          const offered = [...facts.volumes.values()].filter(
            (other) =>
              other.product === identity.product &&
              other.version !== identity.version &&
              facts.metadata.has(identityText(other)),
          );
          const withdrawn = steps.flatMap((step) =>
            step.action === 'retire' && step.identity.product === identity.product ? [step] : [],
          );
          expect(withdrawn.map((step) => step.identity)).to.have.deep.members(offered);
          expect(withdrawn.filter(({ retained }) => retained).length).to.be.at.most(facts.keepVersions - 1);
        }
      }),
    );
  });
});
