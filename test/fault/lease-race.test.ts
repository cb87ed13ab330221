import { expect } from 'chai';
import { fetcherOf, openSession, type Session, withConnection, withLock } from '../../src/commands/session.ts';
import { executeSweep } from '../../src/execute/sweep.ts';
import { judgePool } from '../../src/gather/judge-pool.ts';
import { inProcess } from '../support/in-process.ts';
import { COLLECTOR, type Creation, RaceHost } from './race-host.ts';

/** `RACE_ROUNDS=full` makes more than 500 domains. */
const IS_FULL = process.env['RACE_ROUNDS'] === 'full';
const CREATORS = 3;
const TURNS = IS_FULL ? 140 : 14;

/** One turn of each creator. The cheap ones more often than those that start the program. */
const TURN: readonly Creation[] = ['clone in process', 'plain', 'clone', 'clone in process', 'lease run'];

describe('creators racing with the collector', () => {
  let host: RaceHost;

  beforeEach(async () => {
    host = await RaceHost.start();
    await host.replaceImages();
  });
  afterEach(() => host.world.stop());

  it('never lose an image that they clone or hold, with no grace at all', async () => {
    await race(async (creator) => {
      for (let turn = creator; turn < (TURNS * TURN.length) / CREATORS; turn += 1) {
        await host.create(TURN[turn % TURN.length] ?? 'plain');
      }
    });
    const plain = host.broken.filter(({ kind }) => kind === 'plain').length;
    report(`${plain} of the plain ones broken`);
    expect(host.broken.filter(({ kind }) => kind !== 'plain')).to.deep.equal([]);
    expect(host.deleted).to.be.greaterThan(3);
  }).timeout(IS_FULL ? 1_800_000 : 120_000);

  it('never lose an image that was on offer when they began, with some grace, even by plain calls', async () => {
    const collector = [...COLLECTOR.slice(0, 1), '--grace', '2s', ...COLLECTOR.slice(3)];
    await race(async () => {
      for (let turn = 0; turn < (IS_FULL ? 60 : 8) || host.deleted < 3; turn += 1) await host.create('plain', 'offer');
    }, collector);
    report('none broken by plain calls');
    expect(host.broken).to.deep.equal([]);
  }).timeout(IS_FULL ? 600_000 : 120_000);

  it('can be overtaken by plain calls only for as long as a sweep takes from its last look to its deletion', async () => {
    const looks: number[] = [];
    const windows: number[] = [];
    const { context, options } = inProcess(host.world);
    await withConnection(options, async (connection) => {
      const session = await openSession(context, options, connection);
      for (let round = 0; round < (IS_FULL ? 40 : 8); round += 1) await measure(session, { round, looks, windows });
    });
    console.log(`      last look: ${summary(looks)}; from its beginning to the deletion: ${summary(windows)}`);
    expect(windows).to.have.lengthOf(looks.length * 3);
  });

  /** Lets creators run while the collector does, until the creators are done. */
  async function race(
    create: (creator: number) => Promise<void>,
    collector: readonly string[] = COLLECTOR,
  ): Promise<void> {
    const over = new AbortController();
    const collecting = (async () => {
      while (!over.signal.aborted) await host.replaceImages(collector);
    })();
    try {
      await Promise.all(Array.from({ length: CREATORS }, (_, creator) => create(creator)));
    } finally {
      over.abort();
      await collecting;
    }
    await host.replaceImages(collector);
    await host.takeAllDown();
  }

  function report(end: string): void {
    const made = [...host.made].map(([kind, count]) => `${count} by ${kind}`).join(', ');
    console.log(
      `      made ${made}; ${host.refused} refused; ${host.deleted} images deleted in ${host.rounds} rounds; ${end}`,
    );
  }

  /** Deletes three volumes in one sweep, and notes how long it looked, and when each of them went. */
  async function measure(
    session: Session,
    { round, looks, windows }: { round: number; looks: number[]; windows: number[] },
  ): Promise<void> {
    const names = [1, 2, 3].map((number) => host.world.volumeName('focal', `${round}-${number}`));
    for (const name of names) await host.world.libvirtd.virsh('vol-create-as', 'uvtool', name, '1M');
    const judge = () => judgePool(session, { now: Date.now(), graceMs: 0, minAgeMs: 0 });
    await withLock(session, { command: 'test', fetcher: fetcherOf(session.context) }, async ({ environment }) => {
      let begin = 0;
      const planned = await judge();
      await executeSweep(planned.verdicts, {
        environment,
        folder: planned.folder,
        isHere: true,
        rejudge: async () => {
          begin = performance.now();
          const { verdicts } = await judge();
          looks.push(performance.now() - begin);
          return verdicts;
        },
        afterDelete: async () => {
          windows.push(performance.now() - begin);
        },
      });
    });
  }
});

function summary(milliseconds: readonly number[]): string {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const [median = 0, most = 0] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  return `median ${median.toFixed(0)} ms, at most ${most.toFixed(0)} ms`;
}
