import { expect } from 'chai';

import { SourceError, TrustError } from '../../../src/errors.ts';
import { redirectTarget } from '../../../src/transfer/redirect.ts';

describe('redirects', () => {
  const SECRET = 'Basic c2VjcmV0';

  function follow(from: string, location: string, { status = 302, allowInsecure = false } = {}): unknown {
    const address = { url: new URL(from), authorization: SECRET };
    const target = redirectTarget(address, { status, headers: { location } }, allowInsecure);
    return target === undefined ? undefined : [target.url.href, target.authorization];
  }

  for (const [location, expected] of [
    ['/x', ['https://h/x', SECRET]],
    ['x?y#z', ['https://h/a/x?y#z', SECRET]],
    ['//other/x', ['https://other/x', undefined]],
    ['https://h:444/x', ['https://h:444/x', undefined]],
    ['https://ann:p@other/x', ['https://other/x', 'Basic YW5uOnA=']],
  ] as const) {
    it(`to '${location}' keep the credentials with their origin`, () => {
      expect(follow('https://h/a/b', location)).to.deep.equal(expected);
    });
  }

  it('are followed for the five statuses that mean one, and no other', () => {
    const statuses = [200, 201, 300, 301, 302, 303, 304, 305, 307, 308, 404];
    const followed = statuses.filter((status) => follow('http://h/', '/x', { status }) !== undefined);
    expect(followed).to.deep.equal([301, 302, 303, 307, 308]);
  });

  it('without a target are no redirects', () => {
    const answer = { status: 302, headers: {} };
    expect(redirectTarget({ url: new URL('http://h/'), authorization: undefined }, answer, false)).to.equal(undefined);
  });

  it('from https to http are refused unless the content is already trusted', () => {
    expect(() => follow('https://h/a', 'http://ann:p@h/b?sig=1')).to.throw(
      TrustError,
      /^cannot fetch https:\/\/h\/a: refused its redirect to http:\/\/h\/b\?\.\.\.$/,
    );
    expect(follow('https://h/a', 'http://h/b', { allowInsecure: true })).to.deep.equal(['http://h/b', undefined]);
    expect(follow('http://h/a', 'https://h/b')).to.deep.equal(['https://h/b', undefined]);
  });

  for (const location of ['file:///etc/passwd', 'ftp://h/x', 'data:,x', 'javascript:0']) {
    it(`to '${location}' are refused, also for trusted content`, () => {
      expect(() => follow('http://h/a', location, { allowInsecure: true })).to.throw(TrustError);
    });
  }

  it('to something that is no address are refused', () => {
    expect(() => follow('http://h/a', 'http://[')).to.throw(SourceError, /not an address$/);
  });
});
