import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IntegrityError } from '../../../src/errors.ts';
import { assertWholeVmdk } from '../../../src/image-format/vmdk-extent.ts';
import { readerOf } from './image-bytes.ts';

/** A disk of 2 MiB, half of it data, as qemu-img writes it. */
function vmdkOf(subformat: string): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'pk-vmdk-'));
  try {
    const [raw, vmdk] = [join(dir, 'disk.raw'), join(dir, 'disk.vmdk')];
    writeFileSync(raw, Buffer.concat([Buffer.alloc(1 << 20, 'data'), Buffer.alloc(1 << 20)]));
    const options = ['-O', 'vmdk', '-o', `subformat=${subformat}`];
    execFileSync('qemu-img', ['convert', '-f', 'raw', ...options, raw, vmdk]);
    return readFileSync(vmdk);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const check = (bytes: Buffer): Promise<unknown> =>
  assertWholeVmdk(readerOf(bytes), { name: 'golden', sizeBytes: BigInt(bytes.length) }).catch((error) => error);

for (const subformat of ['monolithicSparse', 'streamOptimized'])
  describe(`a VMDK image of kind ${subformat}`, () => {
    const whole = vmdkOf(subformat);

    it('is whole as qemu-img writes it', async () => {
      expect(await check(whole)).to.equal(undefined);
    });

    it('is found out when it is cut off anywhere', async () => {
      for (const bytes of [whole.length - 65_536, whole.length >> 1, 4096, 600, 512, 100])
        expect(await check(whole.subarray(0, bytes)), String(bytes)).to.be.instanceOf(IntegrityError);
    });

    it('is found out when its tables make no sense', async () => {
      for (const at of [20, 44]) {
        const broken = Buffer.from(whole);
        for (const start of [0, whole.length - 1024]) broken.fill(0, start + at, start + at + 4);
        expect(await check(broken), String(at)).to.be.instanceOf(IntegrityError);
      }
    });
  });
