import { expect } from 'chai';

import { publicAddress, splitCredentials } from '../../../src/transfer/address.ts';

describe('addresses', () => {
  for (const [address, user] of [
    ['https://ann:p%40ss@h/a', 'ann:p@ss'],
    ['https://ann@h/a', 'ann:'],
    ['https://:token@h/a', ':token'],
    ['https://ann:100%@h/a', 'ann:100%'],
    ['https://%C3%A4:x@h/a', 'ä:x'],
  ] as const) {
    it(`turn the user information of ${address} into Basic authentication`, () => {
      const { url, authorization } = splitCredentials(new URL(address));
      expect([url.href, Buffer.from(authorization?.slice('Basic '.length) ?? '', 'base64').toString()]).to.deep.equal([
        'https://h/a',
        user,
      ]);
    });
  }

  it('without user information need no authentication', () => {
    expect(splitCredentials(new URL('https://h/a')).authorization).to.equal(undefined);
  });

  it('are shown without user information, query and fragment', () => {
    expect(publicAddress(new URL('https://ann:p@h:8443/a:b/c?X-Signature=1#d'))).to.equal('https://h:8443/a:b/c?...');
  });
});
