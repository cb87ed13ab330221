import { expect } from 'chai';
import { nearNames } from '../../../src/core/near-names.ts';

describe('nearNames', () => {
  it('finds what differs in few characters, the nearest first', () => {
    expect(nearNames('web1.img', ['web1.imgs', 'web22.img', 'web1.img2x', 'db', 'WEB1.IMG'])).to.deep.equal([
      'WEB1.IMG',
      'web1.imgs',
      'web1.img2x',
    ]);
  });

  it('finds names of which a part is given, the shortest first', () => {
    expect(nearNames('noble', ['ubuntu-noble-server', 'noble-x', 'jammy', 'my-noble'])).to.deep.equal([
      'noble-x',
      'my-noble',
      'ubuntu-noble-server',
    ]);
  });

  it('counts two characters that changed places as one mistake', () => {
    expect(nearNames('snyc', ['sync', 'query', 'scan'])).to.deep.equal(['sync']);
  });

  it('suggests nothing that has little to do with the text', () => {
    expect(nearNames('a', ['b2', 'abc', 'xyz'])).to.deep.equal([]);
  });
});
