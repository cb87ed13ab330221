import { expect } from 'chai';
import { aliasesBelow, overlayMounts } from '../../../src/usage/mounted-places.ts';
import { type Mount, mountTable } from '../../../src/util/mounts.ts';

let number = 1;

/** A mount of `root` in a file system; all but the first lie on the root file system. */
function mount(point: string, device: string, root = '/', more: Partial<Mount> = {}): Mount {
  number += 1;
  return { ...ROOT, id: number, parent: 1, device, root, point, ...more };
}

const ROOT: Mount = {
  id: 1,
  parent: 0,
  device: '8:1',
  root: '/',
  point: '/',
  pointOptions: [],
  type: 'ext4',
  source: '/dev/x',
  options: ['rw'],
};

describe('aliasesBelow', () => {
  const seen = (mounts: readonly Mount[], folder = '/share', pools = ['/pool']) =>
    aliasesBelow(folder, pools, mountTable([ROOT, ...mounts])).map(({ path }) => path);

  it('sees a pool that is mounted below a share [D11]', () => {
    expect(seen([mount('/share/x', '8:1', '/pool')])).to.deep.equal(['/pool']);
    expect(seen([mount('/share/x', '8:1', '/')])).to.deep.equal(['/pool']);
    expect(seen([mount('/share/x', '8:1', '/pool/sub')])).to.deep.equal(['/pool/sub']);
    expect(seen([mount('/pool', '8:2', '/images'), mount('/share/x', '8:2')])).to.deep.equal(['/pool']);
    expect(seen([mount('/pool/in', '8:2', '/a'), mount('/share/x', '8:2')])).to.deep.equal(['/pool/in']);
  });

  it('sees a pool that is a bind mount of something in the share [D11]', () => {
    expect(seen([mount('/pool', '8:1', '/share/images')])).to.deep.equal(['/pool']);
    expect(seen([mount('/pool', '8:1', '/'), mount('/x', '8:1')])).to.deep.equal(['/pool/share']);
  });

  it('sees nothing of a pool that is not mounted there [D11 twin]', () => {
    expect(seen([])).to.deep.equal([]);
    expect(seen([mount('/share/x', '8:1', '/poolside')])).to.deep.equal([]);
    expect(seen([mount('/share/x', '8:2', '/pool')])).to.deep.equal([]);
    expect(seen([mount('/shared/x', '8:1', '/pool')])).to.deep.equal([]);
    // Another mount hides it.
    expect(seen([mount('/share/x', '8:1', '/pool'), mount('/share', '8:3')])).to.deep.equal([]);
    // What lies below the share by its own path is covered anyway.
    expect(seen([], '/share', ['/share/pool'])).to.deep.equal([]);
  });
});

describe('overlayMounts', () => {
  const overlay = (options: readonly string[]): Mount => mount('/m', '0:50', '/', { type: 'overlay', options });
  const spots = (options: readonly string[], more: readonly Mount[] = []) =>
    overlayMounts([{ pool: 'p', path: '/pool' }], mountTable([ROOT, ...more, overlay(options)])).map(
      ({ cause }) => /\w+ directory, '[^']*', (?:lies \w+|may lie anywhere)/.exec(cause)?.[0],
    );

  it('finds those that lie at, above or below a pool [C4]', () => {
    const options = ['lowerdir=/other:/pool', 'upperdir=/pool/up', 'workdir=/w'];
    expect(spots(options)).to.deep.equal([
      "lower directory, '/pool', lies at",
      "upper directory, '/pool/up', lies below",
    ]);
    expect(spots(['lowerdir=/'])).to.deep.equal(["lower directory, '/', lies above"]);
    expect(spots(['lowerdir=/a\\:b::/pool'])).to.deep.equal(["lower directory, '/pool', lies at"]);
    expect(spots(['lowerdir+=/pool', 'datadir+=/x'])).to.deep.equal(["lower directory, '/pool', lies at"]);
    expect(spots(['lowerdir=/x'], [mount('/x', '8:1', '/pool')])).to.deep.equal(["lower directory, '/x', lies at"]);
  });

  it('holds what it cannot resolve for any pool [C4]', () => {
    expect(spots(['lowerdir=nowhere/at-all'])).to.deep.equal(["lower directory, 'nowhere/at-all', may lie anywhere"]);
  });

  it('finds no others [C4 twin]', () => {
    expect(spots(['lowerdir=/poolside:/p', 'upperdir=/up', 'workdir=/pool/work'])).to.deep.equal([]);
    expect(spots(['rw'], [mount('/m2', '0:51', '/', { options: ['lowerdir=/pool'] })])).to.deep.equal([]);
  });
});
