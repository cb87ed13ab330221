import { expect } from 'chai';

import { UsageError } from '../../../src/errors.ts';
import { proxyFor, readProxySettings, type Environment } from '../../../src/transfer/proxy.ts';

describe('proxy settings', () => {
  function proxyOf(url: string, environment: Environment): string | undefined {
    return proxyFor(new URL(url), readProxySettings(environment))?.href;
  }

  for (const [value, expected] of [
    ['host:3128', 'http://host:3128/'],
    ['http://host:3128', 'http://host:3128/'],
    ['https://host', 'https://host/'],
    ['ann:p@host:3128', 'http://ann:p@host:3128/'],
    ['[::1]:3128', 'http://[::1]:3128/'],
    ['localhost', 'http://localhost/'],
    [' host:3128 ', 'http://host:3128/'],
    ['', undefined],
    [undefined, undefined],
  ] as const) {
    it(`read http_proxy '${value}' as ${expected} (statement 37)`, () => {
      expect(proxyOf('http://example.org/', { http_proxy: value })).to.equal(expected);
    });
  }

  it('prefer lower case, also when it is empty', () => {
    const both = { http_proxy: 'lower:1', HTTP_PROXY: 'upper:1' };
    expect(proxyOf('http://h/', both)).to.equal('http://lower:1/');
    expect(proxyOf('http://h/', { HTTP_PROXY: 'upper:1' })).to.equal('http://upper:1/');
    expect(proxyOf('http://h/', { ...both, http_proxy: '' })).to.equal(undefined);
  });

  it('let http_proxy serve https too, but not the other way round, and ignore all_proxy', () => {
    expect(proxyOf('https://h/', { http_proxy: 'p:1' })).to.equal('http://p:1/');
    expect(proxyOf('https://h/', { http_proxy: 'p:1', https_proxy: 'q:1' })).to.equal('http://q:1/');
    expect(proxyOf('http://h/', { https_proxy: 'q:1', all_proxy: 'r:1' })).to.equal(undefined);
  });

  for (const [noProxy, direct] of [
    ['example.org', ['http://example.org/', 'http://a.example.org/', 'https://example.org/', 'http://example.org:81/']],
    [
      '.example.org',
      ['http://example.org/', 'http://a.example.org/', 'https://example.org/', 'http://example.org:81/'],
    ],
    [
      '*.EXAMPLE.org',
      ['http://example.org/', 'http://a.example.org/', 'https://example.org/', 'http://example.org:81/'],
    ],
    ['example.org:443', ['https://example.org/']],
    ['example.org:81 other', ['http://example.org:81/']],
    ['a.example.org,notexample.org', ['http://a.example.org/', 'http://notexample.org/']],
    ['10.0.0.0/8', []],
    ['', []],
  ] as const) {
    it(`go direct to ${direct.length} of these addresses with no_proxy '${noProxy}' (statement 37)`, () => {
      const addresses = [
        'http://example.org/',
        'http://a.example.org/',
        'http://notexample.org/',
        'https://example.org/',
        'http://example.org:81/',
        'http://10.0.0.1/',
      ];
      const environment = { http_proxy: 'p:1', no_proxy: noProxy };
      const found = addresses.filter((address) => proxyOf(address, environment) === undefined);
      expect(found.sort()).to.deep.equal([...direct].sort());
    });
  }

  it("go direct everywhere with no_proxy '*'", () => {
    expect(proxyOf('http://h/', { http_proxy: 'p:1', NO_PROXY: '*' })).to.equal(undefined);
  });

  for (const value of ['socks5://ann:secret@host', 'http://ann:secret@', 'http://[', 'a b']) {
    it(`refuse '${value}' without repeating it`, () => {
      expect(() => proxyOf('http://h/', { http_proxy: value })).to.throw(
        UsageError,
        /^cannot use the proxy that the environment names$/,
      );
    });
  }
});
