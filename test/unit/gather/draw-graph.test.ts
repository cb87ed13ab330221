import { expect } from 'chai';
import { createResolver, mark } from '../../../src/core/use-graph.ts';
import type { PoolListing } from '../../../src/gather/inventory.ts';
import { drawGraph } from '../../../src/gather/use-graph.ts';
import { qcow2Head } from '../image-format/qcow2-image.ts';
import type { Volume } from '../../../src/libvirt/volume.ts';

const POOL = '/srv/images';

describe('drawGraph', () => {
  it('keeps a volume of another host that a domain names through a link, even if it is opened raw', async () => {
    expect(
      await neededIn("<disk type='file'><driver type='raw'/><source file='/var/link/base.img'/></disk>"),
    ).to.deep.equal(['images/base.img']);
  });

  it('misses an overlay on another host, although a volume has the same name', async () => {
    const { graph } = await draw("<disk type='file'><driver type='qcow2'/><source file='/vm/base.img'/></disk>");
    expect(graph.blindSpots.map(({ what }) => what)).to.deep.equal(['image /vm/base.img']);
  });

  it('misses what an image stands on that begins inside a file, unless it is raw', async () => {
    const slice = "<slices><slice type='storage' offset='512' size='65536'/></slices>";
    const disk = (type: string): string =>
      `<disk type='file'><driver type='${type}'/><source file='${POOL}/base.img'>${slice}</source></disk>`;
    const missed = async (type: string): Promise<readonly string[]> =>
      (await draw(disk(type))).graph.blindSpots.map(({ what }) => what);
    expect(await missed('qcow2')).to.deep.equal([`image inside ${POOL}/base.img`]);
    expect(await missed('raw')).to.deep.equal([]);
  });

  async function neededIn(devices: string): Promise<readonly string[]> {
    const { graph } = await draw(devices);
    return [...mark(graph, createResolver(graph.nodes), new Map()).keys()];
  }
});

function draw(devices: string) {
  const xml = `<domain type='qemu'><name>web1</name><devices>${devices}</devices></domain>`;
  const documents = [{ name: 'domain web1, inactive XML', xml }];
  const domains = [{ name: 'web1', uuid: '1', isActive: false, documents }];
  const inventory = { pools: [pool('base.img', 'twin.img')], domains, blindSpots: [] };
  return drawGraph(inventory, {
    isLocal: false,
    qemuImg: () => Promise.reject(new Error('not on this host')),
    readVolume: (_, offset, length) => Promise.resolve(qcow2Head().subarray(Number(offset), Number(offset) + length)),
  });
}

function pool(...names: readonly string[]): PoolListing {
  const xml = `<pool type='dir'><name>images</name><target><path>${POOL}</path></target></pool>`;
  return {
    pool: { name: 'images', uuid: '', type: 'dir', targetPath: POOL, sourceDevices: [], isActive: true, xml },
    entries: undefined,
    blindSpots: [],
    unreadable: [],
    volumes: names.map(volume),
  };
}

function volume(name: string): Volume {
  const path = `${POOL}/${name}`;
  return {
    pool: 'images',
    name,
    isNameExact: true,
    key: path,
    path,
    type: 'file',
    format: 'raw',
    capacityBytes: 1n,
    allocationBytes: 1n,
    lengthBytes: 1n,
    modifiedAtMs: 0,
    backingPath: undefined,
    permissions: undefined,
    xml: `<volume><name>${name}</name></volume>`,
  };
}
