import { once } from 'node:events';
import type { Server } from 'node:http';

/** Lets a server listen on a free loopback port; `stop` ends it and every connection it has. */
export async function listenOnLoopback(
  server: Server,
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    url: `http://127.0.0.1:${address.port}/`,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
