import { execFile } from 'node:child_process';
import { cp, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { compiledProgram } from '../support/compiled-program.ts';
import { rejection } from '../support/rejection.ts';
import { World } from '../support/world.ts';
import { createQcow2 } from '../support/qemu.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const execute = promisify(execFile);

describe('the bundle that packages ship', () => {
  let world: World;
  let program: string;
  /** Without any library beside it. */
  let bareProgram: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    const home = join(world.root, 'package');
    program = join(home, 'bin/poolkeeper.js');
    await mkdir(home);
    for (const name of ['bin', 'package.json', 'packaging'])
      await cp(join(ROOT, name), join(home, name), { recursive: true });
    await symlink(join(ROOT, 'node_modules'), join(home, 'node_modules'));
    await execute(process.execPath, [join(ROOT, 'packaging/bundle.mjs'), join(home, 'dist/bundle')]);
    const bare = join(world.root, 'bare');
    bareProgram = join(bare, 'bin/poolkeeper.js');
    for (const name of ['bin', 'package.json', 'dist'])
      await cp(join(home, name), join(bare, name), { recursive: true });
  });

  after(() => world.stop());

  it('brings images from a signed source, lists them, and says the same of them as the program that is not bundled', async () => {
    const image = join(world.root, 'image.qcow2');
    await createQcow2(image, { sizeBytes: 2 ** 20 });
    await world.publish([{ release: 'noble', versions: [{ serial: '20240821', image }] }]);
    const source = ['--source', world.server.url, '--keyring', world.keyring];
    const synced = await bundled('sync', 'arch=amd64', ...source, ...world.options);
    expect(synced).to.contain('fetch image com.ubuntu.cloud:server:24.04:amd64');
    const volume = world.volumeName('noble', '20240821');
    for (const words of [['query'], ['why', volume], ['sync', 'arch=amd64', ...source], ['gc', '--dry-run']]) {
      const args = [...words, ...world.options];
      expect(await bundled(...args), words.join(' ')).to.equal(await plain(...args));
    }
  });

  for (const words of [['--help'], ['--version'], ['sync', '--help'], ['completion', 'bash']]) {
    it(`prints for ${words.join(' ')} what the program that is not bundled prints`, async () => {
      expect(await bundled(...words)).to.equal(await plain(...words));
    });
  }

  it('needs no library beside itself for what calls no C library, and says what is missing for the rest', async () => {
    expect((await execute(process.execPath, [bareProgram, '--version'])).stdout).to.equal(await plain('--version'));
    const failure = await rejection(execute(process.execPath, [bareProgram, 'list', ...world.options]));
    const { code, stderr } = failure as { code: unknown; stderr: string };
    expect(code, stderr).to.equal(1);
    expect(stderr).to.match(
      /^poolkeeper: error: cannot load koffi, which calls C libraries: .*\npoolkeeper: hint: install/,
    );
  });

  async function bundled(...args: readonly string[]): Promise<string> {
    return (await execute(process.execPath, [program, ...args])).stdout;
  }

  async function plain(...args: readonly string[]): Promise<string> {
    return (await execute(process.execPath, compiledProgram(args))).stdout;
  }
});
