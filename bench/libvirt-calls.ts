import type { Claims } from '../src/core/claim.ts';
import { gatherUseGraph } from '../src/gather/use-graph.ts';
import { createQemuImgInfo } from '../src/image-format/qemu-img.ts';
import { Connection } from '../src/libvirt/connection.ts';
import { withDomains, withVolumes } from '../src/libvirt/handles.ts';
import { Lane } from '../src/libvirt/lane.ts';
import { inShares } from '../src/libvirt/shares.ts';

/** What one way of reading a host took, without the start of the program. */
export interface Reading {
  readonly wallMs: number;
  /** Calls that wait for the daemon. */
  readonly calls: number;
}

const XML_INACTIVE = 2;
const POOL = 'uvtool';

/** `scan`: the use graph. `alone`: the calls that the scan cannot do without, and nothing else, on so many lanes. */
async function read(mode: string, uri: string, lanes: number): Promise<Reading> {
  const counter = countCalls();
  const connection = await Connection.open(uri, { lanes });
  try {
    const [calls, start] = [counter.calls, performance.now()];
    const readClaims = (): Promise<Claims> => Promise.resolve({ claims: [], blindSpots: [] });
    if (mode === 'scan')
      await gatherUseGraph({ connection, qemuImg: createQemuImgInfo(), ownPid: process.pid, readClaims });
    else await makeCalls(connection);
    return { wallMs: performance.now() - start, calls: counter.calls - calls };
  } finally {
    await connection.close();
  }
}

/** Every call of every lane goes through `Lane.call`. */
function countCalls(): { calls: number } {
  const counter = { calls: 0 };
  // oxlint-disable-next-line typescript/unbound-method -- the proxy passes the lane on
  Lane.prototype.call = new Proxy(Lane.prototype.call, {
    apply: (call, lane, args) => {
      counter.calls += 1;
      return Reflect.apply(call, lane, args);
    },
  });
  return counter;
}

async function makeCalls(connection: Connection): Promise<void> {
  const domains = await connection.run((lane) => withDomains(lane, 0, async ({ length }) => length));
  await inShares(connection, domains, (lane, isHere) =>
    withDomains(lane, 0, async (handles) => {
      const { domainGetUUIDString, domainGetXMLDesc } = lane.native;
      for (const handle of handles) {
        if (isHere(domainGetUUIDString(handle))) await lane.call('read', domainGetXMLDesc, handle, XML_INACTIVE);
      }
    }),
  );
  const volumes = await connection.run((lane) => withVolumes(lane, POOL, async ({ length }) => length));
  await inShares(connection, volumes, (lane, isHere) =>
    withVolumes(lane, POOL, async (handles) => {
      const { storageVolGetName, storageVolGetXMLDesc } = lane.native;
      for (const handle of handles) {
        if (isHere(storageVolGetName(handle))) await lane.call('read', storageVolGetXMLDesc, handle, 0);
      }
    }),
  );
}

const [mode = '', uri = '', lanes = ''] = process.argv.slice(2);
process.stdout.write(JSON.stringify(await read(mode, uri, Number(lanes))));
