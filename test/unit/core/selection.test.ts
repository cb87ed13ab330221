import { expect } from 'chai';
import { debianArchitecture, type OfferedItem, selectNewest, syncFilters } from '../../../src/core/selection.ts';
import { parseFilter } from '../../../src/core/filter.ts';
import { UsageError } from '../../../src/errors.ts';

const SHA256 = 'ab'.repeat(32);
const SHA512 = 'cd'.repeat(64);
const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';

function item(version: string, tags: Record<string, string> = {}, more: Partial<OfferedItem> = {}): OfferedItem {
  return {
    product: NOBLE,
    version,
    itemName: 'disk1.img',
    path: `server/${version}.img`,
    tags: { arch: 'amd64', ftype: 'disk1.img', datatype: 'image-downloads', size: '1024', sha256: SHA256, ...tags },
    signer: 'FINGERPRINT',
    ...more,
  };
}

/** Versions that are taken, and reasons for those that are not. */
function select(items: readonly OfferedItem[], filters: readonly string[] = [], poolType = 'dir'): unknown {
  const { wanted, refused } = selectNewest(
    items,
    filters.map((text) => parseFilter(text)),
    poolType,
  );
  return {
    wanted: wanted.map(({ identity }) => `${identity.product} ${identity.version}`),
    refused: refused.map(({ reason }) => reason),
  };
}

function without(tag: string, version = '1'): OfferedItem {
  const { [tag]: _, ...tags } = item(version).tags;
  return { ...item(version), tags };
}

describe('a preference for items', () => {
  const kvm = item('1', { ftype: 'disk-kvm.img' }, { itemName: 'disk-kvm.img', path: 'server/kvm.img' });
  const taken = (items: readonly OfferedItem[], preference: readonly string[]): readonly (string | undefined)[] =>
    selectNewest(items, [], 'dir', preference).wanted.map(({ path }) => path);

  it('takes the first item that a version has', () => {
    expect(taken([item('1'), kvm], ['disk-kvm.img', 'disk1.img'])).to.deep.equal(['server/kvm.img']);
    expect(taken([item('1'), kvm], ['disk1.img', 'disk-kvm.img'])).to.deep.equal(['server/1.img']);
    expect(taken([item('1')], ['disk-kvm.img', 'disk1.img'])).to.deep.equal(['server/1.img']);
  });
  it('does not take an older version for a better item', () => {
    expect(taken([kvm, item('2')], ['disk-kvm.img', 'disk1.img'])).to.deep.equal(['server/2.img']);
  });
  it('does not count versions that have none of the items', () => {
    expect(taken([kvm, item('2')], ['disk-kvm.img'])).to.deep.equal(['server/kvm.img']);
    expect(taken([item('2')], ['disk-kvm.img'])).to.deep.equal([]);
  });
  it('takes the type of an item for its name', () => {
    expect(taken([{ ...kvm, itemName: 'a' }], ['disk-kvm.img'])).to.deep.equal(['server/kvm.img']);
  });
  it('refuses a version of which two items are equally good', () => {
    const twin = { ...kvm, itemName: 'other' };
    const { wanted, refused } = selectNewest([kvm, twin], [], 'dir', ['disk-kvm.img']);
    expect([wanted.length, refused.map(({ reason }) => reason)]).to.deep.equal([
      0,
      ['the filters match several of its items (disk-kvm.img, other); add a filter such as ftype=disk-kvm.img'],
    ]);
  });
});

describe('syncFilters', () => {
  const texts = (given: readonly string[]): readonly string[] => syncFilters(given, 'arm64').map(({ text }) => text);

  it('(16) uses the architecture of the host when the user gives no filter', () => {
    expect(texts([])).to.deep.equal(['datatype=image-downloads', 'ftype=disk1.img', 'arch=arm64']);
  });

  it('(16) drops the architecture with any filter of the user', () => {
    expect(texts(['release=noble'])).to.deep.equal(['datatype=image-downloads', 'ftype=disk1.img', 'release=noble']);
  });

  it('(39) lets a filter on ftype or datatype replace the fixed one', () => {
    expect(texts(['ftype=disk.img'])).to.deep.equal(['datatype=image-downloads', 'ftype=disk.img']);
    expect(texts(['ftype~disk', 'datatype!='])).to.deep.equal(['ftype~disk', 'datatype!=']);
  });

  it('refuses what is not a filter', () => {
    expect(() => syncFilters(['noble'], 'amd64')).to.throw(UsageError, "'noble' is not a filter");
  });
});

describe('selectNewest', () => {
  it('describes a wanted image completely', () => {
    const offered = item('20240423');
    expect(selectNewest([offered], [], 'dir')).to.deep.equal({
      wanted: [
        {
          identity: { product: NOBLE, version: '20240423' },
          path: 'server/20240423.img',
          sizeBytes: 1024n,
          digest: { algorithm: 'sha256', hex: SHA256 },
          tags: offered.tags,
          signer: 'FINGERPRINT',
        },
      ],
      refused: [],
    });
  });

  it('(15) takes exactly one product of a stream with two architectures', () => {
    const arm = item('1', { arch: 'arm64', release: 'noble' }, { product: 'arm' });
    const items = [item('1', { release: 'noble' }), arm, item('1', { release: 'jammy' }, { product: 'jammy' })];
    expect(select(items, ['release=noble', 'arch=amd64'])).to.deep.equal({ wanted: [`${NOBLE} 1`], refused: [] });
  });

  it('(17, 18) takes the newest version only, in the order of text', () => {
    const items = ['20240423', '20240423.1', '20240423.2', '20240423.10'].map((version) => item(version));
    for (const order of [items, items.toReversed()]) {
      expect(select(order)).to.deep.equal({ wanted: [`${NOBLE} 20240423.2`], refused: [] });
    }
  });

  it('(22) does not count a version without a matching item', () => {
    const items = [item('1'), item('2', { label: 'beta' }), item('3', {}, { path: undefined })];
    expect(select(items, ['label!=beta'])).to.deep.equal({ wanted: [`${NOBLE} 1`], refused: [] });
  });

  it('keeps the order of the source', () => {
    const items = ['c', 'a', 'b'].map((product) => item('1', {}, { product }));
    expect(select(items)).to.deep.equal({ wanted: ['c 1', 'a 1', 'b 1'], refused: [] });
  });

  it('(25) takes the strongest checksum, and that one only', () => {
    const digestOf = (tags: Record<string, string>): unknown =>
      selectNewest([item('1', tags)], [], 'dir').wanted[0]?.digest;
    expect(digestOf({ sha512: SHA512, md5: 'wrong' })).to.deep.equal({ algorithm: 'sha512', hex: SHA512 });
    expect(digestOf({ sha256: SHA256.toUpperCase() })).to.deep.equal({ algorithm: 'sha256', hex: SHA256 });
    expect(digestOf({ sha512: SHA512.toUpperCase() })).to.deep.equal({ algorithm: 'sha512', hex: SHA512 });
  });

  const NO_DIGEST = 'the source gives no SHA-256 or SHA-512 checksum for it';
  const NO_SIZE = 'the source gives no size for it';
  for (const [what, offered, reason] of [
    ['has no checksum', without('sha256'), NO_DIGEST],
    ['has only an MD5 checksum', { ...without('sha256'), tags: { ...without('sha256').tags, md5: 'ab' } }, NO_DIGEST],
    ['has a sha512 that is none, beside a good sha256', item('1', { sha512: 'ff' }), NO_DIGEST],
    ['has a checksum with a blank', item('1', { sha256: `${SHA256} ` }), NO_DIGEST],
    ['has a checksum of letters that are not hexadecimal', item('1', { sha256: 'g'.repeat(64) }), NO_DIGEST],
    ['has no size', without('size'), NO_SIZE],
    ['has an empty size', item('1', { size: '' }), NO_SIZE],
    ['is empty', item('1', { size: '0' }), NO_SIZE],
    ['has a negative size', item('1', { size: '-1' }), NO_SIZE],
    ['has a size that is not a whole number', item('1', { size: '1e3' }), NO_SIZE],
    ['has a size beyond every disk', item('1', { size: '9'.repeat(19) }), NO_SIZE],
  ] as const) {
    it(`(26) refuses an image that ${what}, and takes the others`, () => {
      const other = item('1', {}, { product: 'other' });
      expect(select([offered, other])).to.deep.equal({ wanted: ['other 1'], refused: [reason] });
    });
  }

  it('(26) does not fall back to an older version when the newest has to be refused', () => {
    expect(select([item('1'), without('size', '2')])).to.deep.equal({ wanted: [], refused: [NO_SIZE] });
  });

  it('refuses an image of which the filters match several items, and names them', () => {
    const items = [item('1'), item('1', {}, { itemName: 'disk-kvm.img' })];
    expect(select(items)).to.deep.equal({
      wanted: [],
      refused: [
        'the filters match several of its items (disk1.img, disk-kvm.img); add a filter such as ftype=disk1.img',
      ],
    });
  });

  it('does not mind several items in a version that is not the newest', () => {
    const items = [item('1'), item('1', {}, { itemName: 'disk-kvm.img' }), item('2')];
    expect(select(items)).to.deep.equal({ wanted: [`${NOBLE} 2`], refused: [] });
  });

  it('(43) merges the versions of one product in two documents, in whichever order they come', () => {
    const [first, second] = [
      [item('1'), item('3')],
      [item('2'), item('3', {}, { path: 'mirror/3.img' })],
    ];
    expect(select([...first, ...second])).to.deep.equal({ wanted: [`${NOBLE} 3`], refused: [] });
    expect(selectNewest([...first, ...second], [], 'dir').wanted[0]?.path).to.equal('server/3.img');
    expect(select([...second, ...first])).to.deep.equal({ wanted: [`${NOBLE} 3`], refused: [] });
  });

  for (const [what, product, poolType] of [
    ['a blank', 'a b', 'dir'],
    ['a control character', 'a\u0007b', 'dir'],
    ['more than a file name holds', 'a'.repeat(300), 'dir'],
    ['nothing at all', '', 'dir'],
    ['a slash, in a pool with plain names', 'a/b', 'fs'],
  ] as const) {
    it(`refuses a product whose name has ${what}, and takes the others`, () => {
      const items = [item('1', {}, { product }), item('1', {}, { product: 'other' })];
      expect(select(items, [], poolType)).to.deep.equal({
        wanted: ['other 1'],
        refused: ['its product or version name cannot be part of a volume name'],
      });
    });
  }

  it('takes a product with a slash where names are encoded', () => {
    expect(select([item('1', {}, { product: 'a/b' })])).to.deep.equal({ wanted: ['a/b 1'], refused: [] });
  });
});

describe('debianArchitecture', () => {
  for (const [node, debian] of [
    ['x64', 'amd64'],
    ['arm64', 'arm64'],
    ['arm', 'armhf'],
    ['ia32', 'i386'],
    ['ppc64', 'ppc64el'],
    ['s390x', 's390x'],
    ['riscv64', 'riscv64'],
  ] as const) {
    it(`(16) knows ${node} as ${debian}`, () => expect(debianArchitecture(node)).to.equal(debian));
  }

  it('asks for a filter on a host that no image is made for', () => {
    for (const unknown of ['mips', 'toString']) {
      expect(() => debianArchitecture(unknown))
        .to.throw(UsageError, `no image architecture is known for '${unknown}'`)
        .with.property('hint', 'give a filter such as arch=amd64');
    }
  });
});
