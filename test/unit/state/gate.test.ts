import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { EXIT, InterruptedError, LockedError } from '../../../src/errors.ts';
import { withGate } from '../../../src/state/gate.ts';
import { rejection, temporaryDir } from './support.ts';

const { signal } = new AbortController();

describe('withGate', () => {
  const at = temporaryDir();

  it('lets in those who share it together, and the one who does not after them', async () => {
    const log: string[] = [];
    const inside = gathering(2);
    const share = () =>
      withGate(at('gate'), 'shared', { signal }, async () => {
        await inside.arrive();
        log.push('shared');
      });
    const first = share();
    const alone = withGate(at('gate'), 'exclusive', { signal }, async () => log.push('alone'));
    await Promise.all([first, share(), alone]);
    expect(log).to.deep.equal(['shared', 'shared', 'alone']);
  });

  it('keeps those who share it out while somebody is alone inside', async () => {
    const log: string[] = [];
    let enter: Promise<void> | undefined;
    await withGate(at('gate'), 'exclusive', { signal }, async () => {
      enter = withGate(at('gate'), 'shared', { signal }, async () => {
        log.push('shared');
      });
      expect(await rejection(withGate(at('gate'), 'shared', { signal, patienceMs: 30 }, neverRun))).to.include({
        message: 'cannot take a lease: a sweep is deleting volumes of the pool',
        exitStatus: EXIT.locked,
        hint: 'try again when it is done',
      });
      log.push('alone');
    });
    await enter;
    expect(log).to.deep.equal(['alone', 'shared']);
  });

  it('does not let a sweep wait for ever', async () => {
    await withGate(at('gate'), 'shared', { signal }, async () => {
      const error = await rejection(withGate(at('gate'), 'exclusive', { signal, patienceMs: 0 }, neverRun));
      expect(error).to.be.instanceOf(LockedError);
    });
  });

  it('stops waiting when the program is asked to stop', async () => {
    const stop = new AbortController();
    await withGate(at('gate'), 'exclusive', { signal }, async () => {
      const waiting = rejection(withGate(at('gate'), 'shared', { signal: stop.signal }, neverRun));
      stop.abort(new InterruptedError('stopped by SIGTERM'));
      expect(await waiting).to.be.instanceOf(InterruptedError);
    });
  });

  it('is open again after a failure inside', async () => {
    const failure = withGate(at('gate'), 'exclusive', { signal }, () => Promise.reject(new LockedError('no')));
    expect((await rejection(failure)).message).to.equal('no');
    expect(await withGate(at('gate'), 'exclusive', { signal, patienceMs: 0 }, async () => 'in')).to.equal('in');
  });

  it('is open again after the death of who was inside', async () => {
    const holder = spawn('flock', ['--no-fork', at('gate'), 'sh', '-c', 'echo in; read line']);
    await once(holder.stdout, 'data');
    expect(await rejection(withGate(at('gate'), 'shared', { signal, patienceMs: 0 }, neverRun))).to.exist;
    holder.kill('SIGKILL');
    expect(await withGate(at('gate'), 'exclusive', { signal }, async () => 'in')).to.equal('in');
  });
});

async function neverRun(): Promise<never> {
  throw new Error('came inside');
}

/** Lets nobody go on before so many have come. */
function gathering(count: number): { arrive(): Promise<void> } {
  let arrived = 0;
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    arrive: () => {
      arrived += 1;
      if (arrived === count) open();
      return opened;
    },
  };
}
