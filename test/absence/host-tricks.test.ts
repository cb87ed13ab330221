import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { askOpen } from '../../src/util/kernel.ts';
import { asUser, type DiskKind, HOLDERS, HostTricks, inUnit, SECOND_USER } from '../support/host-tricks.ts';

const run = promisify(execFile);
const FUSE_SUPER_MAGIC = 0x65_73_55_46;

/** What a test of absence rests on: that the host really is as the test says. */
describe('tricks played on the host', () => {
  const tricks = new HostTricks();
  let root: string;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'pk-tricks-'));
    await chmod(root, 0o755);
    // The default action of a lease that is broken would end this process.
    process.on('SIGIO', ignore);
  });
  after(async () => {
    process.off('SIGIO', ignore);
    await tricks.undo();
    await rm(root, { recursive: true, force: true });
  });

  const exists = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    );

  for (const kind of ['ext4', 'xfs', 'btrfs'] satisfies DiskKind[]) {
    it(`hide a file by unmounting ${kind}, and show it again, also somewhere else`, async () => {
      const [at, elsewhere] = [join(root, kind), join(root, `${kind}-elsewhere`)];
      const disk = await tricks.disk(kind, join(root, `${kind}.img`), at);
      await writeFile(join(at, 'file'), 'x');
      await disk.unmount();
      expect(await exists(join(at, 'file'))).to.equal(false);
      await disk.mount(elsewhere);
      expect(await readFile(join(elsewhere, 'file'), 'utf8')).to.equal('x');
      const holder = await tricks.hold('process', join(elsewhere, 'file'), root);
      await disk.unmount('lazy');
      expect(await exists(join(elsewhere, 'file'))).to.equal(false);
      await holder.undo();
      await disk.mount();
      expect(await exists(join(at, 'file'))).to.equal(true);
      await disk.undo();
      expect(await exists(join(at, 'file'))).to.equal(false);
    });
  }

  for (const kind of HOLDERS) {
    it(`hold a file open, as the kernel sees it: ${kind}`, async () => {
      const folder = join(root, `pool of ${kind}`.replaceAll(' ', '-'));
      await mkdir(folder);
      const file = join(folder, 'file');
      await writeFile(file, Buffer.alloc(8192));
      expect(askOpen(file, 'write')).to.deep.equal({ is: 'free' });
      const holder = await tricks.hold(kind, file, root);
      expect(askOpen(file, 'write')).to.deep.equal({ is: 'held' });
      await holder.undo();
      expect(askOpen(file, 'write')).to.deep.equal({ is: 'free' });
    });
  }

  it('show a folder through FUSE, by a bind mount, and through overlayfs', async () => {
    const folder = join(root, 'shown');
    await mkdir(folder);
    await writeFile(join(folder, 'file'), 'x');
    const places = ['fuse', 'bound', 'merged'].map((name) => join(root, name));
    const [fuse = '', bound = '', merged = ''] = places;
    await tricks.fuse(folder, fuse);
    await tricks.bind(folder, bound);
    await tricks.overlay(folder, join(root, 'overlay-work'), merged);
    for (const place of places) expect(await readFile(join(place, 'file'), 'utf8'), place).to.equal('x');
    expect((await statfs(fuse)).type).to.equal(FUSE_SUPER_MAGIC);
    expect((await stat(join(bound, 'file'))).ino).to.equal((await stat(join(folder, 'file'))).ino);
  });

  it('run a command as a second user, who may not read what is root’s', async () => {
    const secret = join(root, 'secret');
    await writeFile(secret, 'x', { mode: 0o600 });
    const shell = ['sh', '-c', 'id -u; id -G; cat "$0" 2>/dev/null || echo refused', secret];
    const [command = '', ...words] = asUser({ ...SECOND_USER, groups: [65_502] }, shell);
    const { stdout } = await run(command, words, { cwd: '/' });
    expect(stdout.split('\n')).to.deep.equal([`${SECOND_USER.uid}`, `${SECOND_USER.gid} 65502`, 'refused', '']);
  });

  it('run a command with what the unit leaves it of root', async () => {
    const shell = [
      "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status",
      'touch /usr/poolkeeper-test 2>/dev/null || echo read-only',
      'unshare --mount true 2>/dev/null || echo no mounts',
      'umask',
    ];
    const [command = '', ...words] = await inUnit(['sh', '-c', shell.join('; ')]);
    const { stdout } = await run(command, words);
    const unit = await readFile(new URL('../../../packaging/poolkeeper-sync.service', import.meta.url), 'utf8');
    const [, names = ''] = /^CapabilityBoundingSet=(.*)$/m.exec(unit) ?? [];
    const [, mask = ''] = /^UMask=(.*)$/m.exec(unit) ?? [];
    const capabilities = names.split(' ').map((name) => CAPABILITIES[name] ?? expect.fail(`${name} is not known here`));
    const effective = capabilities.reduce((sum, bit) => sum + 2 ** bit, 0);
    expect(stdout.split('\n')).to.deep.equal([
      `CapEff:\t${effective.toString(16).padStart(16, '0')}`,
      'NoNewPrivs:\t1',
      'Seccomp:\t2',
      'read-only',
      'no mounts',
      mask,
      '',
    ]);
  });
});

/** Source: `linux/capability.h` */
const CAPABILITIES: Readonly<Record<string, number>> = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_DAC_READ_SEARCH: 2,
  CAP_FOWNER: 3,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_LEASE: 28,
};

function ignore(): void {}
