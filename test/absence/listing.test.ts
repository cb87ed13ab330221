import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { LibvirtError } from '../../src/errors.ts';
import { listInventory } from '../../src/gather/inventory.ts';
import { Connection } from '../../src/libvirt/connection.ts';
import { listDomainDocuments } from '../../src/libvirt/domain.ts';
import type { Lane } from '../../src/libvirt/lane.ts';
import { listPools } from '../../src/libvirt/storage-pool.ts';
import { disk, fileDisk, openStages, type Stage } from '../support/scenario.ts';
import { World } from '../support/world.ts';

const VIRSH = 'virsh';

/** Something to do before a native call of this name is made, or instead of it. */
type Disturbance = (call: keyof Lane['native'], name: string) => void;

describe('what is listed while others change it', () => {
  let world: World;
  let connection: Connection;
  let stage: Stage;

  before(async () => {
    world = await World.start();
    await world.createPool();
    [stage = expect.fail('no stage')] = await openStages(world, 1);
    connection = await Connection.open(world.libvirtd.uri);
    await stage.define({ devices: fileDisk(join(stage.outside, 'top.qcow2')) });
    await stage.define({ name: stage.domain('b'), devices: disk("file='/nowhere/raw'", { format: 'raw' }) });
  });
  after(async () => {
    await connection.close();
    await world.stop();
  });

  it('has a domain that is defined anew just when it is to be read [D6]', async () => {
    const xml = await stage.xml({ devices: fileDisk(join(stage.outside, 'top.qcow2')) });
    let isDone = false;
    const listing = await listDomainDocuments(
      disturbed(
        (call) => {
          if (call !== 'domainGetXMLDesc' || isDone) return;
          isDone = true;
          virsh(`undefine ${stage.domain()}`);
          virsh(`undefine ${stage.domain('b')}`);
        },
        () => virsh(`define ${xml}`),
      ),
    );
    // One is there again when it is looked for again, the other is not, and might be in a moment.
    expect(listing.domains.map(({ name }) => name)).to.deep.equal([stage.domain()]);
    expect(listing.domains[0]?.documents[0]?.xml).to.include('top.qcow2');
    expect(listing.blindSpots.map(({ what }) => what)).to.deep.equal([`domain '${stage.domain('b')}'`]);
  });

  it('has no blind spot for what was gone before, and none where nobody changes anything [D6 twin]', async () => {
    const listing = await listDomainDocuments(connection);
    expect(listing.blindSpots).to.deep.equal([]);
    expect(listing.domains.map(({ name }) => name)).to.deep.equal([stage.domain()]);
  });

  it('has a blind spot for a pool that cannot be listed nor read, and not for one that can be read [D6]', async () => {
    const refuse: Disturbance = (call) => {
      if (call === 'storagePoolNumOfVolumes') throw new LibvirtError('cannot list: too many', { virErrorNumber: 39 });
    };
    const spotsOf = async (isLocal: boolean): Promise<readonly string[]> => {
      const { pools } = await listInventory(disturbed(refuse), await listPools(connection), isLocal);
      return pools.flatMap(({ blindSpots }) => blindSpots.map(({ what }) => what));
    };
    expect(await spotsOf(false)).to.deep.equal(["storage pool 'uvtool'"]);
    expect(await spotsOf(true)).to.deep.equal([]);
  });

  /** The connection, with something happening before its calls; `after` what it was the first time. */
  function disturbed(before: Disturbance, after?: () => void): Connection {
    let isOver = false;
    const laneOf = (lane: Lane): Lane =>
      new Proxy(lane, {
        get: (target, key) => {
          if (key !== 'call') return Reflect.get(target, key, target) as unknown;
          return async (what: string, native: unknown, ...args: readonly unknown[]) => {
            const [call] = Object.entries(target.native).find(([, each]) => each === native) ?? [];
            before((call ?? '') as keyof Lane['native'], what);
            try {
              return await (target.call as (...all: unknown[]) => Promise<unknown>).call(target, what, native, ...args);
            } catch (error) {
              if (!isOver && call === 'domainGetXMLDesc') after?.();
              isOver = isOver || call === 'domainGetXMLDesc';
              throw error;
            }
          };
        },
      });
    return new Proxy(connection, {
      get: (target, key) => {
        if (key === 'run') return (use: (lane: Lane) => Promise<unknown>) => target.run((lane) => use(laneOf(lane)));
        return Reflect.get(target, key, target) as unknown;
      },
    });
  }

  function virsh(command: string): void {
    execFileSync(VIRSH, ['-q', '-c', world.libvirtd.uri, command], {
      env: { PATH: process.env['PATH'], HOME: world.root },
    });
  }
});
