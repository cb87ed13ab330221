import { expect } from 'chai';

import { matchesAll, parseFilter } from '../../../src/core/filter.ts';
import { SourceError } from '../../../src/errors.ts';
import { resolveItemUrl } from '../../../src/simplestreams/source.ts';
import { BASE, INDEX, PRODUCT, downloads, failure, index, paths, products, readPlain, serve } from './reading.ts';

describe('interop statements on documents', () => {
  it('1. asks for streams/v1/index.sjson and nothing else first', async () => {
    const fetcher = serve({ 'index.sjson': index({}) });
    const stream = await readPlain(fetcher);
    expect(fetcher.requests.map(({ url }) => url)).to.deep.equal([INDEX]);
    expect({ items: [...stream.items()], warnings: stream.warnings }).to.deep.equal({ items: [], warnings: [] });
  });

  it('2. splits an address that names a document, and reads a products document directly', async () => {
    const fetcher = serve({ 'com.x:download.json': products() });
    const stream = await readPlain(fetcher, `${BASE}streams/v1/com.x:download.json`);
    expect(stream.location.display).to.equal(BASE);
    expect(paths(stream)).to.deep.equal(['server/a.img']);
    expect(stream.documents.map(({ kind, contentId }) => ({ kind, contentId }))).to.deep.equal([
      { kind: 'products', contentId: 'foo' },
    ]);
  });

  it('3. makes the same requests with and without a slash at the end', async () => {
    const fetchers = [serve({ 'index.sjson': index({}) }), serve({ 'index.sjson': index({}) })] as const;
    await readPlain(fetchers[0], BASE);
    await readPlain(fetchers[1], BASE.slice(0, -1));
    expect(fetchers[0].requests).to.deep.equal(fetchers[1].requests);
  });

  it('4. resolves paths against the base, wherever the index was redirected to', async () => {
    const fetcher = serve({ 'foo.json': products() });
    const body = JSON.stringify(index({ foo: downloads('foo.json') }));
    fetcher.served.set(INDEX, { body, redirectedTo: 'https://mirror.test/elsewhere/index.sjson' });
    const stream = await readPlain(fetcher);
    expect(fetcher.requests.map(({ url }) => url)).to.deep.equal([INDEX, `${BASE}streams/v1/foo.json`]);
    expect(resolveItemUrl(stream.location.base, 'server/a.img').href).to.equal(`${BASE}server/a.img`);
  });

  it('5. asks for names with colons literally', async () => {
    const name = 'com.ubuntu.cloud:released:download.sjson';
    const fetcher = serve({ 'index.sjson': index({ foo: downloads(name) }), [name]: products() });
    await readPlain(fetcher);
    expect(fetcher.requests.map(({ url }) => url)).to.deep.equal([INDEX, `${BASE}streams/v1/${name}`]);
    expect(resolveItemUrl(new URL(BASE), 'c:d/e').href).to.equal(`${BASE}c:d/e`);
  });

  it('6. rejects a missing or unknown format, naming format and path', async () => {
    expect(await failure(readPlain(serve({ 'index.sjson': {} }))))
      .to.be.instanceOf(SourceError)
      .that.includes({
        message: `cannot use ${INDEX}: it has no format`,
      });
    expect(await failure(readPlain(serve({ 'index.sjson': { format: 'products:2.0' } }))))
      .to.be.instanceOf(SourceError)
      .that.includes({ message: `cannot use ${INDEX}: its format is "products:2.0"`, url: INDEX });
  });

  it('7. fetches only downloads, so that missing image ids do not matter', async () => {
    const entries = { ids: { ...downloads('ids.json'), datatype: 'image-ids' }, foo: downloads('foo.json') };
    const fetcher = serve({ 'index.sjson': index(entries), 'foo.json': products() });
    const stream = await readPlain(fetcher);
    expect(fetcher.requests.map(({ url }) => url)).to.deep.equal([INDEX, `${BASE}streams/v1/foo.json`]);
    expect(stream.warnings).to.deep.equal([]);
  });

  it('8. skips an index entry without datatype, path or known format, with a warning', async () => {
    const entries = {
      bare: { ...downloads('a.json'), datatype: undefined },
      pathless: { ...downloads(''), path: undefined },
      odd: { ...downloads('b.json'), format: 'products:9' },
    };
    const stream = await readPlain(serve({ 'index.sjson': index(entries) }));
    expect(stream.warnings).to.deep.equal([
      `${INDEX}: entry 'bare' has no datatype and was skipped`,
      `${INDEX}: entry 'pathless' has no path and was skipped`,
      `${INDEX}: entry 'odd' is of no known format and was skipped`,
    ]);
  });

  it('9. follows nested indexes, once each, down to a limit', async () => {
    const nested = { format: 'index:1.0', path: 'streams/v1/nested.json' };
    const looping = { loop: { format: 'index:1.0', path: 'streams/v1/index.sjson' }, foo: downloads('foo.json') };
    const fetcher = serve({ 'index.sjson': index({ nested }), 'nested.json': index(looping), 'foo.json': products() });
    const stream = await readPlain(fetcher);
    expect(paths(stream)).to.deep.equal(['server/a.img']);
    expect(stream.warnings).to.deep.equal([`${INDEX} is listed more than once and was read once`]);

    const names = ['index.sjson', ...Array.from({ length: 7 }, (_, depth) => `${depth}.json`)];
    const deep = names.map((name, depth): [string, object] => [
      name,
      index({ next: { format: 'index:1.0', path: `streams/v1/${depth}.json` } }),
    ]);
    expect(await failure(readPlain(serve(Object.fromEntries(deep)))))
      .to.be.instanceOf(SourceError)
      .that.includes({
        message: `cannot use ${BASE}streams/v1/5.json: indexes are nested too deeply`,
      });
  });

  it('10. rejects products without content_id, and warns of one that is not the key in the index', async () => {
    const entries = index({ bar: downloads('foo.json') });
    const bare = serve({ 'index.sjson': entries, 'foo.json': products({}, { content_id: undefined }) });
    expect(await failure(readPlain(bare)))
      .to.be.instanceOf(SourceError)
      .that.includes({
        message: `cannot use ${BASE}streams/v1/foo.json: $["content_id"] is missing`,
      });
    const stream = await readPlain(serve({ 'index.sjson': entries, 'foo.json': products() }));
    expect(stream.warnings).to.deep.equal([
      `${BASE}streams/v1/foo.json: its content_id 'foo' is not 'bar', as which the index lists it`,
    ]);
    expect(paths(stream)).to.deep.equal(['server/a.img']);
  });

  it('11. flattens: the deeper level wins, scalars become strings as in Python, the rest is dropped', async () => {
    const item = { level: 'item', size: 5, big: 585_000_000, ratio: 0.5, on: true, off: false, none: null, list: [1] };
    const version = { level: 'version', label: 'release', items: { 'disk1.img': item } };
    const product = {
      level: 'product',
      arch: 'amd64',
      requirements: { secureboot: 'false' },
      versions: { v1: version },
    };
    const document = { ...products(), level: 'top', license: 'x', products: { p: product } };
    const [only] = (await readPlain(serve({ 'index.sjson': document }))).items();
    expect(only).to.deep.equal({
      contentId: 'foo',
      product: 'p',
      version: 'v1',
      itemName: 'disk1.img',
      path: undefined,
      signer: undefined,
      tags: {
        content_id: 'foo',
        format: 'products:1.0',
        license: 'x',
        arch: 'amd64',
        label: 'release',
        level: 'item',
        size: '5',
        big: '585000000',
        ratio: '0.5',
        on: 'True',
        off: 'False',
        product_name: 'p',
        version_name: 'v1',
        item_name: 'disk1.img',
      },
    });
  });

  it('12. lets the structural names win over members of the same name', async () => {
    const hostile = { product_name: 'x', version_name: 'y', item_name: 'z', ['__proto__']: { polluted: true } };
    const [only] = (await readPlain(serve({ 'index.sjson': products(hostile) }))).items();
    expect(only?.tags).to.deep.include({
      product_name: PRODUCT,
      version_name: '20240423',
      item_name: 'disk1.img',
    });
  });

  it('13. merges aliases before anything else, one level deep, and rejects an unknown one by name', async () => {
    const aliases = { crsn: { 'us-east': { region: 'us-east-1', endpoint: 'https://e', zone: 'z1', crsn2: 'x' } } };
    const item = { crsn: 'us-east', region: 'overwritten', zone: '' };
    const document = products(item, { _aliases: { ...aliases, zone: { z1: { chained: 'yes' } } } });
    const [only] = (await readPlain(serve({ 'index.sjson': document }))).items();
    expect(only?.tags).to.deep.include({ crsn: 'us-east', region: 'us-east-1', endpoint: 'https://e', zone: 'z1' });
    expect(only?.tags).to.not.have.property('chained');
    const unknown = products({ crsn: 'mars' }, { _aliases: aliases });
    expect(await failure(readPlain(serve({ 'index.sjson': unknown }))))
      .to.be.instanceOf(SourceError)
      .that.includes({
        message: `cannot use ${INDEX}: $["_aliases"]["crsn"] has no alias "mars"`,
      });
  });

  it('15. lets filters on any tag select one product of a stream for two architectures', async () => {
    const items = { 'disk1.img': { ftype: 'disk1.img' } };
    const product = (arch: string): object => ({ arch, release: 'noble', versions: { v1: { items } } });
    const tree = { 'noble:amd64': product('amd64'), 'noble:arm64': product('arm64') };
    const stream = await readPlain(serve({ 'index.sjson': products({}, { products: tree }) }));
    const filters = ['release=noble', 'arch=amd64'].map((text) => parseFilter(text));
    const selected = [...stream.items()].filter(({ tags }) => matchesAll(tags, filters));
    expect(selected.map((item) => item.product)).to.deep.equal(['noble:amd64']);
  });

  it('39. delivers an item of any name, as cirros has them', async () => {
    const items = { 'disk.img': { ftype: 'disk.img', path: 'a/disk.img' } };
    const tree = { 'net.cirros-cloud:standard:0.6:x86_64': { versions: { '20240101': { items } } } };
    const [only] = (await readPlain(serve({ 'index.sjson': products({}, { products: tree }) }))).items();
    expect(only?.itemName).to.equal('disk.img');
  });

  it('43. delivers the items of a product from every document that holds it, in a fixed order', async () => {
    const entries = index({ foo: downloads('a.json'), bar: downloads('b.json') });
    const fetcher = serve({
      'index.sjson': entries,
      'a.json': products({ path: 'from/a' }),
      'b.json': products({ path: 'from/b' }),
    });
    const [first, second] = [await readPlain(fetcher), await readPlain(fetcher)];
    expect(paths(first)).to.deep.equal(['from/a', 'from/b']);
    expect([...second.items()]).to.deep.equal([...first.items()]);
  });
});
