import { expect } from 'chai';
import { mkdtemp, rm } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IncompleteViewError, InUseError } from '../../src/errors.ts';
import { ImageLock } from '../../src/image-format/image-lock.ts';
import { createQcow2, qemuImg, qemuIo } from '../support/qemu.ts';
import { rejection } from '../support/rejection.ts';

describe('the lock of an image', () => {
  let root: string;
  let path: string;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'pk-image-lock-'));
    path = join(root, 'image.qcow2');
    await createQcow2(path, { sizeBytes: 2 ** 20 });
  });
  after(() => rm(root, { recursive: true }));

  const read = () => qemuImg('convert', '-O', 'raw', path, join(root, 'copy'));

  it('lets QEMU read and not write, then not even read, and all again when it is gone', async () => {
    {
      using lock = ImageLock.take(path, 'data');
      await read();
      expect(String(await rejection(qemuIo(path, 'write -P 1 0 64k')))).to.include('Failed to get "write" lock');
      lock.denyReading();
      expect(String(await rejection(read()))).to.include('Failed to get "consistent read" lock');
    }
    await qemuIo(path, 'write -P 1 0 64k');
  });

  it('is not to be had while QEMU has the image open', async () => {
    const holder = spawn('qemu-io', [path], { stdio: ['pipe', 'pipe', 'ignore'] });
    await once(holder.stdout, 'data');
    try {
      expect(() => ImageLock.take(path, 'data')).to.throw(InUseError, "some program of QEMU's has it open");
    } finally {
      holder.stdin.end('quit\n');
      await once(holder, 'exit');
    }
  });

  it('says so when nobody can tell', () => {
    expect(() => ImageLock.take(join(root, 'missing'), 'data')).to.throw(IncompleteViewError, 'cannot tell whether');
  });
});
