import { createServer, type ServerResponse } from 'node:http';
import { expect } from 'chai';
import { createFetcher } from '../../src/transfer/fetcher.ts';
import { listenOnLoopback } from '../support/loopback.ts';
import { readDocument } from '../support/transfer-fixture.ts';

const CASES = [
  { title: 'uses the connection again after an answer without content', path: 'unchanged', isKept: true },
  { title: 'uses the connection again after a short answer', path: 'short', isKept: true },
  { title: 'gives up the connection of a long answer', path: 'long', isKept: false },
  { title: 'gives up the connection of an answer of unknown length', path: 'endless', isKept: false },
];

describe('connections to a server', () => {
  for (const { title, path, isKept } of CASES) {
    it(`${title} that nobody wants`, async () => {
      const server = createServer((request, response) => answer(request.url ?? '', response));
      let connections = 0;
      server.on('connection', () => (connections += 1));
      const { url, stop } = await listenOnLoopback(server);
      const fetcher = createFetcher({ userAgent: 'poolkeeper/test', environment: {} });
      const unwanted = await fetcher.fetch(new URL(path, url), {});
      unwanted.discard();
      const { text } = await readDocument(fetcher, `${url}short`);
      await fetcher.close();
      await stop();
      expect(text).to.equal('moved');
      expect(connections === 1).to.equal(isKept);
    });
  }
});

function answer(path: string, response: ServerResponse): void {
  if (path === '/unchanged') response.writeHead(304).end();
  else if (path === '/short') response.end('moved');
  else if (path === '/long') response.end(Buffer.alloc(2 ** 20));
  else response.write('no end');
}
