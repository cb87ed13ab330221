import { readFile } from 'node:fs/promises';
import { parseFilter } from '../src/core/filter.ts';
import { selectNewest } from '../src/core/selection.ts';
import { fetchStream } from '../src/simplestreams/fetch-stream.ts';
import { openKeyring } from '../src/simplestreams/keyring.ts';
import { resolveSource } from '../src/simplestreams/source.ts';
import { createFetcher } from '../src/transfer/fetcher.ts';
import { REAL_FILTERS } from './products-document.ts';

/** Reads a signed source for the first time, without any cache: fetched, verified, parsed, filtered. */
const [source = '', keyringPath = ''] = process.argv.slice(2);
const clock = { now: () => Date.now() };
const fetcher = createFetcher({ userAgent: 'bench', environment: {} });
const keyring = await openKeyring(await readFile(keyringPath));
const stream = await fetchStream(resolveSource(source, undefined, '/'), {
  fetcher,
  clock,
  keyring,
  authentication: 'signed',
});
const filters = REAL_FILTERS.map((text) => parseFilter(text));
process.stdout.write(JSON.stringify(selectNewest(stream.items(), filters, 'dir').wanted.length));
await fetcher.close();
