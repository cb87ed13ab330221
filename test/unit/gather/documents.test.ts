import { expect } from 'chai';
import { domainDocument, domainOf, listed, outlookOf, type PoolFacts } from '../../support/scenario-inventory.ts';
import { qcow2Head } from '../image-format/qcow2-image.ts';

/** A pool of a kind that needs special hardware, with a volume that is needed and a near twin that is not. */
interface Row {
  readonly title: string;
  readonly pool: Omit<PoolFacts, 'volumes' | 'name'>;
  /** Where libvirt says that a volume of this name is. */
  readonly place: (name: string) => { readonly path: string; readonly key?: string };
  readonly devices: (name: string) => string;
}

const NEEDED = 'noble';
const TWIN = 'noble-2';

const source = (type: string, attributes: string): string =>
  `<disk type='${type}' device='disk'><driver name='qemu' type='raw'/><source ${attributes}/><target dev='vda'/></disk>`;

const DIRECTORY = { pool: { type: 'dir' }, place: (name: string) => ({ path: `/images/${name}` }) };
const VOLUME_GROUP = {
  pool: { type: 'logical' },
  place: (name: string) => ({ path: `/dev/nowhere-vg0/${name}`, key: `uuid-of-${name}` }),
};
const RBD = { pool: { type: 'rbd' }, place: (name: string) => ({ path: `images/${name}`, key: `images/${name}` }) };
const ISCSI = {
  pool: { type: 'iscsi-direct' },
  place: (name: string) => ({ path: `ip-192.0.2.1:3260-iscsi-iqn.2004-01.com.example:${name}-lun-1` }),
};

const ROWS: readonly Row[] = [
  {
    title: 'a logical volume as a block disk',
    ...VOLUME_GROUP,
    devices: (n) => source('block', `dev='/dev/nowhere-vg0/${n}'`),
  },
  {
    title: 'a logical volume by pool and name',
    ...VOLUME_GROUP,
    devices: (n) => source('volume', `pool='p' volume='${n}'`),
  },
  { title: 'an RBD image', ...RBD, devices: (n) => source('network', `protocol='rbd' name='images/${n}'`) },
  {
    title: 'an RBD image by its snapshot',
    ...RBD,
    devices: (n) => source('network', `protocol='rbd' name='images/${n}@s1'`),
  },
  { title: 'an RBD image of a pool by name', ...RBD, devices: (n) => source('volume', `pool='p' volume='${n}'`) },
  {
    title: 'an RBD image in a command line',
    ...RBD,
    devices: (n) =>
      `</devices><q:commandline xmlns:q='q'><q:arg value='file=rbd:images/${n}:id=a'/></q:commandline><devices>`,
  },
  {
    title: 'a file of a Gluster volume',
    pool: { type: 'gluster' },
    place: (n) => ({ path: `gluster://192.0.2.1:24007/vol0/${n}` }),
    devices: (n) => source('network', `protocol='gluster' name='vol0/${n}'`),
  },
  {
    title: 'an iSCSI unit as a disk',
    ...ISCSI,
    devices: (n) => source('network', `protocol='iscsi' name='iqn.2004-01.com.example:${n}/1'`),
  },
  {
    title: 'an iSCSI unit as a host device',
    ...ISCSI,
    devices: (n) =>
      `<hostdev mode='subsystem' type='scsi'><source protocol='iscsi' name='iqn.2004-01.com.example:${n}/1'/></hostdev>`,
  },
  {
    title: 'an iSCSI unit by its device',
    pool: { type: 'iscsi' },
    place: (n) => ({ path: `/dev/disk/by-path/ip-192.0.2.1:3260-iscsi-iqn.a:${n}-lun-1`, key: `serial-${n}` }),
    devices: (n) => source('block', `dev='/dev/disk/by-path/ip-192.0.2.1:3260-iscsi-iqn.a:${n}-lun-1'`),
  },
  {
    title: 'a Sheepdog image',
    pool: { type: 'sheepdog' },
    place: (n) => ({ path: n }),
    devices: (n) => source('network', `protocol='sheepdog' name='${n}'`),
  },
  {
    title: 'a ZFS volume',
    pool: { type: 'zfs' },
    place: (n) => ({ path: `/dev/zvol/nowhere/${n}`, key: `nowhere/${n}` }),
    devices: (n) => source('block', `dev='/dev/zvol/nowhere/${n}'`),
  },
  {
    title: 'a LUN of a SCSI pool',
    pool: { type: 'scsi' },
    place: (n) => ({ path: `/dev/disk/by-path/pci-0000:00:1f.2-${n}` }),
    devices: (n) => `<disk type='block' device='lun'><source dev='/dev/disk/by-path/pci-0000:00:1f.2-${n}'/></disk>`,
  },
  {
    title: 'a datastore file of ESX',
    ...DIRECTORY,
    devices: (n) => `<disk type='file'><source file='[store] web1/${n}'/></disk>`,
  },
  {
    title: 'a file system of LXC',
    ...DIRECTORY,
    devices: (n) => `<filesystem type='file'><source file='/images/${n}'/></filesystem>`,
  },
  {
    title: 'a block device of LXC',
    ...DIRECTORY,
    devices: (n) => `<filesystem type='block'><source dev='/images/${n}'/></filesystem>`,
  },
  {
    title: 'a file system of a volume',
    ...DIRECTORY,
    devices: (n) => `<filesystem type='volume'><source pool='p' volume='${n}'/></filesystem>`,
  },
  {
    title: 'a storage device of LXC',
    ...DIRECTORY,
    devices: (n) =>
      `<hostdev mode='capabilities' type='storage'><source><block>/images/${n}</block></source></hostdev>`,
  },
  {
    title: 'a block copy of old',
    ...DIRECTORY,
    devices: (n) => `<disk type='file'><mirror file='/images/${n}' format='raw'/></disk>`,
  },
  {
    title: 'a data store (libvirt 10.10)',
    ...DIRECTORY,
    devices: (n) =>
      `<disk type='file'><source><dataStore type='file'><format type='raw'/><source file='/images/${n}'/></dataStore></source></disk>`,
  },
  {
    title: 'a data store of a backing store (libvirt 10.10)',
    ...DIRECTORY,
    devices: (n) =>
      `<disk type='file'><backingStore type='file'><source><dataStore type='file'><source file='/images/${n}'/></dataStore></source></backingStore></disk>`,
  },
  {
    title: 'a TPM state (libvirt 10.10)',
    ...DIRECTORY,
    devices: (n) => `<tpm><backend type='emulator'><source type='file' path='/images/${n}'/></backend></tpm>`,
  },
  {
    title: 'a pstore (libvirt 10.6)',
    ...DIRECTORY,
    devices: (n) => `<pstore backend='acpi-erst'><path>/images/${n}</path></pstore>`,
  },
  {
    title: 'a variable store (libvirt 12.1)',
    ...DIRECTORY,
    devices: (n) => `</devices><os><varstore path='/images/${n}'/></os><devices>`,
  },
  {
    title: 'a shim (libvirt 11.2)',
    ...DIRECTORY,
    devices: (n) => `</devices><os><shim>/images/${n}</shim></os><devices>`,
  },
  {
    title: 'something that nobody knows yet',
    ...DIRECTORY,
    devices: (n) => `<quantum><disc at='/images/${n}'/></quantum>`,
  },
  {
    title: 'a directory above it',
    ...DIRECTORY,
    devices: (n) => (n === NEEDED ? `<filesystem><source dir='/images/${n}/'/></filesystem>` : ''),
  },
];

describe('a sweep beside storage that only documents show', () => {
  for (const { title, pool, place, devices } of ROWS) {
    it(`keeps ${title}, and nothing of a similar name`, async () => {
      const volumes = [NEEDED, TWIN].map((name) => ({ name, ...place(name) }));
      const pools = [await listed({ name: 'p', ...pool, volumes })];
      const domains = [domainOf('web1', domainDocument('web1', devices(NEEDED)))];
      const { deleted, blindSpots } = await outlookOf({ pools, domains, blindSpots: [] }, new Set([NEEDED, TWIN]));
      expect({ deleted, blindSpots }).to.deep.equal({ deleted: [TWIN], blindSpots: [] });
    });
  }

  for (const [title, xml] of [
    [
      'a running push backup',
      "<domainbackup mode='push'><disks><disk name='vda' type='file'><driver type='raw'/><target file='/images/noble'/></disk></disks></domainbackup>",
    ],
    [
      'a snapshot of the memory',
      "<domainsnapshot><name>s</name><memory snapshot='external' file='/images/noble'/></domainsnapshot>",
    ],
    [
      'a checkpoint',
      `<domaincheckpoint><name>c</name>${domainDocument('web1', source('file', "file='/images/noble'"))}</domaincheckpoint>`,
    ],
    [
      'the configuration of old in a snapshot',
      `<domainsnapshot><name>s</name><inactiveDomain>${source('file', "file='/images/noble'").replace(/^/, '<devices>')}</devices></inactiveDomain></domainsnapshot>`,
    ],
  ] as const) {
    it(`keeps what ${title} names`, async () => {
      const volumes = [NEEDED, TWIN].map((name) => ({ name, path: `/images/${name}` }));
      const pools = [await listed({ name: 'p', volumes })];
      const inventory = { pools, domains: [domainOf('web1', xml)], blindSpots: [] };
      expect(await outlookOf(inventory, new Set([NEEDED, TWIN]))).to.deep.equal({ deleted: [TWIN], blindSpots: [] });
    });
  }

  it('keeps an image that another pool is made of', async () => {
    const volumes = [NEEDED, TWIN].map((name) => ({ name, path: `/images/${name}` }));
    const xml = "<pool type='fs'><name>q</name><source><device path='/images/noble'/></source></pool>";
    const pools = [await listed({ name: 'p', volumes }), await listed({ name: 'q', type: 'fs', volumes: [], xml })];
    expect((await outlookOf({ pools, domains: [], blindSpots: [] }, new Set([NEEDED, TWIN]))).deleted).to.deep.equal([
      TWIN,
    ]);
  });

  it('keeps the base of an overlay on another host, which only libvirt can read', async () => {
    const volumes = [NEEDED, TWIN, 'top'].map((name) => ({ name, path: `/images/${name}` }));
    const contents = new Map([['top', qcow2Head({ backing: { offset: 512n, length: 5, name: 'noble' } })]]);
    const inventory = { pools: [await listed({ name: 'p', volumes })], domains: [], blindSpots: [] };
    expect(await outlookOf(inventory, new Set([NEEDED, TWIN]), { contents })).to.deep.equal({
      deleted: [TWIN],
      blindSpots: [],
    });
  });

  it('refuses when an overlay on another host is in none of its pools', async () => {
    const volumes = [{ name: TWIN, path: `/images/${TWIN}` }];
    const devices = source('file', "file='/elsewhere/top'").replace('raw', 'qcow2');
    const inventory = {
      pools: [await listed({ name: 'p', volumes })],
      domains: [domainOf('web1', domainDocument('web1', devices))],
      blindSpots: [],
    };
    const { deleted, blindSpots } = await outlookOf(inventory, new Set([TWIN]));
    expect(deleted).to.deep.equal([]);
    expect(blindSpots.map(({ what }) => what)).to.deep.equal(['image /elsewhere/top']);
  });
});
