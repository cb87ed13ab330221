import { createServer, request as sendRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { listenOnLoopback } from './loopback.ts';

/** One request as the proxy saw it: `target` is an absolute address, or `host:port` for CONNECT. */
export interface ProxyRequest {
  readonly method: string;
  readonly target: string;
  readonly authorization: string | undefined;
}

export interface HttpProxy {
  /** `http://127.0.0.1:<port>/` */
  readonly url: string;
  readonly requests: readonly ProxyRequest[];
  stop(): Promise<void>;
}

/** A forward proxy on a loopback port. With `refuseWith` it answers everything with that status. */
export async function startProxy({ refuseWith }: { readonly refuseWith?: number } = {}): Promise<HttpProxy> {
  const requests: ProxyRequest[] = [];
  const tunnels = new Set<Socket | Duplex>();
  const record = ({ method = '', url: target = '', headers }: IncomingMessage): void => {
    requests.push({ method, target, authorization: headers['proxy-authorization'] });
  };
  const server = createServer((message, response) => {
    record(message);
    if (refuseWith === undefined) forward(message, response);
    else response.writeHead(refuseWith, { 'content-length': '0' }).end();
  });
  server.on('connect', (message: IncomingMessage, client: Duplex) => {
    record(message);
    tunnels.add(client);
    client.on('error', ignore);
    if (refuseWith === undefined) tunnels.add(tunnel(message, client));
    else client.end(`HTTP/1.1 ${refuseWith} Refused\r\ncontent-length: 0\r\n\r\n`);
  });
  const { url, stop } = await listenOnLoopback(server);
  return {
    url,
    requests,
    async stop() {
      for (const socket of tunnels) socket.destroy();
      await stop();
    },
  };
}

function forward(message: IncomingMessage, response: ServerResponse): void {
  const upstream = sendRequest(message.url ?? '', { method: message.method, headers: message.headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  upstream.on('error', () => response.destroy());
  upstream.end();
}

function tunnel({ url = '' }: IncomingMessage, client: Duplex): Socket {
  const { hostname, port } = new URL(`http://${url}`);
  const server = connect(Number(port), hostname, () => {
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    server.pipe(client);
    client.pipe(server);
  });
  return server.on('error', () => client.destroy());
}

function ignore(): void {}
