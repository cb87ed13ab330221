import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sha256Of } from '../support/aftermath.ts';
import { listenOnLoopback } from '../support/loopback.ts';
import { type Run, runProgram, World } from '../support/world.ts';

const SERIAL = '20240821';
const execute = promisify(execFile);

describe('an https source that redirects to http', () => {
  let world: World;
  let redirects: RegExp;
  let server: Awaited<ReturnType<typeof listenOnLoopback>>;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.publishRelease('noble', SERIAL);
    server = await listenOnLoopback(await startTls());
  });
  after(async () => {
    await server.stop();
    await world.stop();
  });

  for (const [target, path] of [
    ['index', /index\.sjson$/],
    ['products', /download\.sjson$/],
  ] as const) {
    it(`is not followed for its ${target}, and nothing is taken`, async () => {
      redirects = path;
      const { status, stderr } = await sync();
      expect(status, stderr).to.equal(12);
      expect(stderr).to.match(/^poolkeeper: error: cannot fetch https:\S+: refused its redirect to http:\S+\n/);
      expect(await world.volumes()).to.deep.equal([]);
    });
  }

  it('is followed for an image, which the digest in a signed document guards', async () => {
    redirects = /\.img$/;
    expect(await sync()).to.include({ status: 0, stderr: '' });
    expect(await sha256Of(world.volumePath('noble', SERIAL))).to.equal(
      await sha256Of(join(world.root, `noble-${SERIAL}.img`)),
    );
  });

  function sync(): Promise<Run> {
    const url = server.url.replace('http:', 'https:');
    const words = [
      'sync',
      ...world.options,
      '--source',
      url,
      '--keyring',
      world.keyring,
      '--retries',
      '0',
      'arch=amd64',
    ];
    return runProgram(words, world.root, { NODE_EXTRA_CA_CERTS: join(world.root, 'tls.crt') });
  }

  /** Serves the mirror, and sends those away to plain http who ask for what is to be redirected. */
  async function startTls(): Promise<Server> {
    const [key, cert] = [join(world.root, 'tls.key'), join(world.root, 'tls.crt')];
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    await execute('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      ...subject,
    ]);
    return createServer({ key: await readFile(key), cert: await readFile(cert) }, (request, response) => {
      const path = decodeURIComponent(request.url ?? '/');
      if (redirects.test(path)) {
        response.writeHead(302, { location: `${world.server.url}${path.slice(1)}` }).end();
        return;
      }
      readFile(join(world.mirror, path)).then(
        (bytes) => response.end(bytes),
        () => response.writeHead(404).end(),
      );
    });
  }
});
