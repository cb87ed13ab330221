import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { join, normalize } from 'node:path';
import { Readable } from 'node:stream';

import { BodyBreak, findFault, type Body, type Break, type Fault } from './http-fault.ts';
import { listenOnLoopback } from './loopback.ts';
import { representFile, type Representation } from './static-file.ts';

const HTML = Buffer.from('<!DOCTYPE html><html><body>Please log in</body></html>\n');

/** One request as the server saw it; `status` and `bytes` grow while it is answered. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  status: number;
  /** Body bytes handed to the connection. */
  bytes: number;
}

export interface FaultOptions {
  /** How many matching requests it hits. Default: all. */
  readonly times?: number;
  /** How many matching requests are served well before. Default: none. */
  readonly after?: number;
}

export interface HttpServer {
  /** `http://127.0.0.1:<port>/` */
  readonly url: string;
  readonly requests: readonly Request[];
  /** From now on, requests for a path that equals or matches `path` meet a fault, or several together. */
  fault(path: string | RegExp, fault: Fault, options?: FaultOptions): void;
  clearFaults(): void;
  stop(): Promise<void>;
}

interface PlannedFault {
  readonly path: string | RegExp;
  readonly fault: Fault;
  after: number;
  times: number;
}

/**
 * Serves a directory on a loopback port as a static web server does: strong ETag, Last-Modified, conditional requests,
 * Range with If-Range, and gzip for `.json` when the client accepts it.
 */
export async function startHttpServer(root: string): Promise<HttpServer> {
  const requests: Request[] = [];
  const planned: PlannedFault[] = [];
  const server = createServer((message, response) => {
    const request = { method: message.method ?? '', path: requestPath(message), headers: message.headers };
    const entry: Request = { ...request, status: 0, bytes: 0 };
    requests.push(entry);
    answer({ root, entry, faults: dueFaults(planned, entry.path), response }).catch(() => response.destroy());
  });
  const { url, stop } = await listenOnLoopback(server);
  return {
    url,
    requests,
    fault(path, fault, { times = Infinity, after = 0 } = {}) {
      planned.push({ path, fault, times, after });
    },
    clearFaults() {
      planned.length = 0;
    },
    stop,
  };
}

interface Exchange {
  readonly root: string;
  readonly entry: Request;
  readonly faults: readonly Fault[];
  readonly response: ServerResponse;
}

function requestPath(message: IncomingMessage): string {
  return decodeURIComponent(new URL(message.url ?? '/', 'http://localhost').pathname);
}

function dueFaults(planned: readonly PlannedFault[], path: string): readonly Fault[] {
  const due: Fault[] = [];
  for (const plan of planned) {
    if (typeof plan.path === 'string' ? plan.path !== path : !plan.path.test(path)) continue;
    if (plan.after > 0) plan.after -= 1;
    else if (plan.times > 0) {
      plan.times -= 1;
      due.push(plan.fault);
    }
  }
  return due;
}

async function answer({ root, entry, faults, response }: Exchange): Promise<void> {
  const representation =
    faultyAnswer(faults) ?? (await representFile(join(root, normalize(entry.path)), entry.headers, faults));
  const headers = adjustHeaders(representation.headers, faults);
  entry.status = representation.status;
  response.writeHead(representation.status, headers);
  if (representation.body === undefined || entry.method === 'HEAD') response.end();
  else await send(representation.body, response, entry);
}

function faultyAnswer(faults: readonly Fault[]): Representation | undefined {
  const failure = findFault(faults, 'status');
  if (failure !== undefined) {
    const headers = { date: new Date().toUTCString(), ...failure.headers };
    return { status: failure.status, headers, body: undefined };
  }
  const redirect = findFault(faults, 'redirect');
  if (redirect !== undefined) {
    return { status: redirect.status ?? 302, headers: { location: redirect.to }, body: undefined };
  }
  if (findFault(faults, 'html') === undefined) return undefined;
  const headers = { 'content-type': 'text/html', 'content-length': String(HTML.length) };
  return { status: 200, headers, body: { chunks: Readable.from([HTML]), length: HTML.length } };
}

function adjustHeaders(headers: Readonly<Record<string, string>>, faults: readonly Fault[]): OutgoingHttpHeaders {
  const adjusted: OutgoingHttpHeaders = { ...headers };
  const length = findFault(faults, 'content-length');
  if (length !== undefined) Object.assign(adjusted, { 'content-length': length.value, connection: 'close' });
  const range = findFault(faults, 'content-range');
  if (range !== undefined && 'content-range' in headers) adjusted['content-range'] = range.value;
  if (findFault(faults, 'no-validators') === undefined) return adjusted;
  delete adjusted['etag'];
  delete adjusted['last-modified'];
  return adjusted;
}

async function send(body: Body, response: ServerResponse, entry: Request): Promise<void> {
  try {
    for await (const chunk of body.chunks) {
      entry.bytes += chunk.length;
      if (!response.write(chunk)) await drained(response);
      if (response.destroyed) return;
    }
    response.end();
  } catch (error) {
    if (!(error instanceof BodyBreak)) throw error;
    await breakOff(response, error.how);
  }
}

async function breakOff(response: ServerResponse, how: Break): Promise<void> {
  const { socket } = response;
  if (response.writableNeedDrain) await drained(response);
  if (how === 'end') socket?.destroySoon();
  if (how === 'reset') socket?.resetAndDestroy();
}

/** Settles when more may be written, or nothing can be any more. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      response.off('drain', settle).off('close', settle);
      resolve();
    };
    response.on('drain', settle).on('close', settle);
  });
}
