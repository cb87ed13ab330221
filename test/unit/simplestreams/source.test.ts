import { expect } from 'chai';
import * as fc from 'fast-check';

import { PoolkeeperError, TrustError, UsageError } from '../../../src/errors.ts';
import { displayUrl, resolveItemUrl, resolveSource } from '../../../src/simplestreams/source.ts';

function resolved(url: string, path?: string): [string, string] {
  const location = resolveSource(url, path, '/home/ada');
  return [location.base.href, location.path];
}

function failure(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}

describe('resolveSource', () => {
  const index = 'streams/v1/index.sjson';

  for (const [url, base, path] of [
    ['https://h/releases/', 'https://h/releases/', index],
    ['https://h/releases', 'https://h/releases/', index],
    ['https://h', 'https://h/', index],
    ['HTTP://H:8080/a', 'http://h:8080/a/', index],
    ['https://h/releases/streams/v1/index.json', 'https://h/releases/', 'streams/v1/index.json'],
    ['https://h/streams/v1/com.x:download.json', 'https://h/', 'streams/v1/com.x:download.json'],
    ['https://h/a/streams/v1/b/streams/v1/c.sjson', 'https://h/a/', 'streams/v1/b/streams/v1/c.sjson'],
    ['https://h/mystreams/v1/index.json', 'https://h/mystreams/v1/index.json/', index],
    ['https://h/streams/v1/index.json.gpg', 'https://h/streams/v1/index.json.gpg/', index],
    ['https://h/streams/v2/index.json', 'https://h/streams/v2/index.json/', index],
    ['streams/v1/index.json', 'file:///home/ada/', 'streams/v1/index.json'],
    ['mirror', 'file:///home/ada/mirror/', index],
    ['../mirror/', 'file:///home/mirror/', index],
    ['/srv/100% #1', 'file:///srv/100%25%20%231/', index],
    ['file:///srv/a%20b/streams/v1/x:y.json', 'file:///srv/a%20b/', 'streams/v1/x:y.json'],
    ['C:\\images', 'file:///home/ada/C:%5Cimages/', index],
  ] as const) {
    it(`splits ${url}`, () => {
      expect(resolved(url)).to.deep.equal([base, path]);
    });
  }

  it('takes an explicit path as it is', () => {
    expect(resolved('https://h/releases', 'streams/v1/daily.json')).to.deep.equal([
      'https://h/releases/',
      'streams/v1/daily.json',
    ]);
  });

  it('keeps credentials for requests and hides them from display', () => {
    const location = resolveSource('https://ada:secret@h/releases', undefined, '/');
    expect([location.base.href, location.display]).to.deep.equal([
      'https://ada:secret@h/releases/',
      'https://h/releases/',
    ]);
  });

  for (const url of [
    '',
    ' ',
    'https://h/?x=1',
    'https://h/#x',
    'ftp://h/',
    'file://host/srv',
    'file:///a%2fb',
    'https://',
  ]) {
    it(`refuses '${url}'`, () => {
      expect(failure(() => resolved(url))).to.be.instanceOf(UsageError);
    });
  }

  it('refuses a path that could leave the source, or two documents', () => {
    expect(failure(() => resolved('https://h/', '../x.json'))).to.be.instanceOf(UsageError);
    expect(failure(() => resolved('https://h/streams/v1/index.json', 'streams/v1/o.json'))).to.be.instanceOf(
      UsageError,
    );
  });

  it('does not repeat an address that no parser understands, as it may hold a password', () => {
    const error = failure(() => resolved('https://ada:secret@h:port/'));
    expect(error).to.be.instanceOf(UsageError);
    expect(String(error)).to.not.contain('secret');
  });

  it('throws nothing but UsageErrors, whatever the text', () => {
    fc.assert(
      fc.property(fc.string(), fc.webUrl(), fc.option(fc.string(), { nil: undefined }), (text, url, path) => {
        for (const source of [text, url, `${url}/${text}`, `file:///${text}`]) {
          const outcome = failure(() => resolveSource(source, path, '/'));
          if (outcome instanceof Error) expect(outcome).to.be.instanceOf(UsageError);
        }
      }),
    );
  });
});

describe('resolveItemUrl', () => {
  it('appends to the base', () => {
    const base = new URL('https://ada:secret@h/releases/');
    expect(resolveItemUrl(base, 'com.x:a/b c.img').href).to.equal('https://ada:secret@h/releases/com.x:a/b%20c.img');
    expect(resolveItemUrl(new URL('file:///srv/'), '100%41.img').href).to.equal('file:///srv/100%2541.img');
  });

  it('stays below the base or throws a TrustError, whatever the path', () => {
    const segment = fc.oneof(
      fc.constantFrom('..', '.', '', '%2e%2e', 'a:', '\\', '\t', ' ', 'http:', '?', '#'),
      fc.string(),
    );
    const path = fc.array(segment, { maxLength: 5 }).map((segments) => segments.join('/'));
    fc.assert(
      fc.property(path, fc.constantFrom('https://h/a/', 'file:///srv/a/'), (item, base) => {
        const outcome = failure(() => resolveItemUrl(new URL(base), item));
        if (outcome instanceof PoolkeeperError) expect(outcome).to.be.instanceOf(TrustError);
        else expect(outcome).to.satisfy((url: URL) => url.href.startsWith(base) && url.href.length > base.length);
      }),
    );
  });
});

describe('displayUrl', () => {
  it('drops user and password only', () => {
    expect(displayUrl(new URL('https://ada:secret@h:8443/a?b#c'))).to.equal('https://h:8443/a?b#c');
  });
});
