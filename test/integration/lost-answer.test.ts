import { expect } from 'chai';
import { LibvirtError } from '../../src/errors.ts';
import { Lane } from '../../src/libvirt/lane.ts';
import { aftermathOf } from '../support/aftermath.ts';
import { runInProcess } from '../support/in-process.ts';
import { World } from '../support/world.ts';

const SERIAL = '20240821';
/** VIR_FROM_RPC */
const RPC = 7;

/* oxlint-disable typescript/unbound-method -- it is called with its own `this` */
const call = Lane.prototype.call as (this: Lane, what: string, ...rest: unknown[]) => Promise<unknown>;

describe('a volume that libvirtd made without being able to say so', () => {
  let world: World;
  let isGone: boolean;

  beforeEach(async () => {
    world = await World.start();
    await world.createPool();
    await world.publish([await world.release('noble', SERIAL)]);
    isGone = false;
  });
  afterEach(async () => {
    Lane.prototype.call = call as typeof Lane.prototype.call;
    await world.stop();
  });

  /** As if libvirtd had died behind its last step: it is carried out, and the answer to it and all after it are lost. */
  function loseAnswers(isBack: () => boolean): void {
    Lane.prototype.call = async function (this: Lane, what: string, ...rest: unknown[]) {
      const isLast = !isGone && what.startsWith('create a volume');
      const result = isGone ? undefined : await call.call(this, what, ...rest);
      if (isLast) isGone = true;
      const error = isGone && new LibvirtError(`cannot ${what}: lost`, { virErrorNumber: 38, virErrorDomain: RPC });
      if (isBack()) isGone = false;
      if (error !== false) throw error;
      return result;
    } as typeof Lane.prototype.call;
  }

  function sync() {
    return runInProcess(world, ['sync', 'arch=amd64', '--source', world.server.url, '--keyring', world.keyring]);
  }

  it('is filled by the same run when libvirtd is back', async () => {
    let calls = 0;
    loseAnswers(() => isGone && (calls += 1) === 1);
    const { status, stderr } = await sync();
    expect({ status, stderr, calls }).to.deep.equal({ status: 0, stderr: '', calls: 1 });
    expect(Object.keys((await aftermathOf(world)).metadata)).to.deep.equal([world.volumeName('noble', SERIAL)]);
  });

  it('is filled by the next run when libvirtd is back later', async () => {
    loseAnswers(() => false);
    expect((await sync()).status).to.equal(10);
    Lane.prototype.call = call as typeof Lane.prototype.call;
    expect((await aftermathOf(world)).metadata).to.deep.equal({});
    const { status, stderr } = await sync();
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    expect(Object.keys((await aftermathOf(world)).metadata)).to.deep.equal([world.volumeName('noble', SERIAL)]);
  }).timeout(180_000);
});
