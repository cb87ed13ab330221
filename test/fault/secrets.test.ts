import { expect } from 'chai';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Run, runProgram, World } from '../support/world.ts';

const USER = 'pk-reader';
const SECRET = 's3cr3t-w0rd';
const OLD = '20240821';
const NEW = '20240901';
const DOCUMENT = /sjson$/;
const IMAGE = /\.img$/;

describe('a password in the address of a source', () => {
  let world: World;
  const runs: Run[] = [];

  before(async () => {
    world = await World.start();
    await world.createPool();
  });
  after(() => world.stop());

  it('is sent to the server, and is found in nothing that is printed or kept', async () => {
    await publish(OLD);
    const since = world.server.requests.length;
    await sync('--dry-run');
    expect((await sync()).status).to.equal(0);
    const expected = `Basic ${Buffer.from(`${USER}:${SECRET}`).toString('base64')}`;
    expect(world.server.requests.slice(since).map(({ headers }) => headers.authorization)).to.satisfy(
      (sent: readonly unknown[]) => sent.length > 3 && sent.every((value) => value === expected),
    );
    await publish(NEW);
    for (const [path, fault] of [
      [DOCUMENT, { kind: 'status', status: 404 }],
      [DOCUMENT, { kind: 'status', status: 401 }],
      [DOCUMENT, { kind: 'reset', fraction: 0.3 }],
      [DOCUMENT, { kind: 'flip', offset: 300 }],
      [DOCUMENT, { kind: 'redirect', to: `ftp://${USER}:${SECRET}@127.0.0.1/` }],
      [IMAGE, { kind: 'status', status: 403 }],
      [IMAGE, { kind: 'flip', offset: 700_000 }],
      [IMAGE, { kind: 'truncate', afterBytes: 900_000 }],
      [IMAGE, { kind: 'redirect', to: `ftp://${USER}:${SECRET}@127.0.0.1/` }],
    ] as const) {
      world.server.fault(path, fault);
      expect((await sync()).status).to.be.greaterThan(0);
      world.server.clearFaults();
    }
    expect((await sync()).status).to.equal(0);
    await publish(OLD, new Date(Date.UTC(2024, 0, 1)));
    expect((await sync()).status).to.equal(12);
    await sync('--path', '../x');
    await sync('--mirror', `http://${USER}:${SECRET}@[::1`);
    await sync('--source', `http://${USER}:${SECRET}@127.0.0.1:1/`);
    await sync('--source', `http://${USER}:${SECRET}@127.0.0.1/?${SECRET}`);
    await sync('--source', `ftp://${USER}:${SECRET}@127.0.0.1/`);
    expect(runs).to.have.length.greaterThan(15);
    const told = runs.flatMap(({ stdout, stderr }) => [stdout, stderr]).filter(hasSecret);
    expect(told, told.join('\n')).to.deep.equal([]);
    const kept = await Promise.all(['state', 'cache', 'metadata'].map((name) => filesBelow(join(world.root, name))));
    expect(kept.every((files) => files.length > 0)).to.equal(true);
    expect(kept.flat().filter(({ path, text }) => hasSecret(path) || hasSecret(text))).to.deep.equal([]);
  }).timeout(180_000);

  async function publish(serial: string, updated = new Date()): Promise<void> {
    await world.publish([await world.release('noble', serial)], updated);
  }

  /** Once for people and once for programs. */
  async function sync(...args: readonly string[]): Promise<Run> {
    const url = world.server.url.replace('http://', `http://${USER}:${SECRET}@`);
    const source = ['--source', url, '--keyring', world.keyring, '--mirror', `${url}mirror/`, '--retries', '0'];
    const words = ['sync', '-v', ...world.options, ...source, '--grace', '0', '--min-age', '0', ...args];
    const plain = await runProgram([...words, '--dry-run'], world.root);
    const json = await runProgram([...words, '--json'], world.root);
    runs.push(plain, json);
    return json;
  }
});

function hasSecret(text: string): boolean {
  return [SECRET, Buffer.from(`${USER}:${SECRET}`).toString('base64')].some((word) => text.includes(word));
}

async function filesBelow(dir: string): Promise<readonly { readonly path: string; readonly text: string }[]> {
  const entries = await readdir(dir, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  return Promise.all(files.map(async (path) => ({ path, text: await readFile(path, 'latin1') })));
}
