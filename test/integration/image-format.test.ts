import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { FailureError } from '../../src/errors.ts';
import { checkDownloadedHeader } from '../../src/image-format/download-check.ts';
import type { ImageInspection } from '../../src/image-format/image.ts';
import { inspectImage } from '../../src/image-format/inspect-image.ts';
import { openLocalImage } from '../../src/image-format/local-file.ts';
import { createQemuImgInfo } from '../../src/image-format/qemu-img.ts';

const runQemuImg = createQemuImgInfo();

describe('images made by qemu-img', () => {
  let pool: string;

  beforeEach(async () => {
    pool = await mkdtemp(join(tmpdir(), 'poolkeeper-images-'));
  });

  afterEach(async () => {
    await rm(pool, { recursive: true });
  });

  function qemuImg(...args: readonly string[]): void {
    execFileSync('qemu-img', args, { cwd: pool, stdio: ['ignore', 'ignore', 'pipe'] });
  }

  function create(format: string, name: string, ...options: readonly string[]): void {
    qemuImg('create', '-q', '-f', format, ...options, `./${name}`, '64M');
  }

  async function inspect(name: string): Promise<ImageInspection> {
    await using image = await openLocalImage(join(pool, name));
    return await inspectImage(image, { runQemuImg });
  }

  /** Format and references of an image that must be decided. */
  async function needs(name: string): Promise<{ format: string; needs: string[] }> {
    const { format, references, undecided } = await inspect(name);
    expect(undecided).to.equal(undefined);
    return { format, needs: references.map(({ kind, value }) => `${kind} ${value}`) };
  }

  it('need nothing when they have no parent', async () => {
    for (const format of ['qcow', 'qcow2', 'qed', 'vmdk', 'vhdx', 'vpc', 'vdi', 'parallels', 'raw']) {
      create(format, `x.${format}`);
      expect(await needs(`x.${format}`)).to.deep.equal({ format, needs: [] });
    }
  });

  it('name their qcow2 backing file, with and without its format, in both versions', async () => {
    create('raw', 'base.img');
    create('qcow2', 'v3.qcow2', '-b', 'base.img', '-F', 'raw');
    create('qcow2', 'v2.qcow2', '-o', 'compat=0.10', '-b', join(pool, 'base.img'), '-F', 'raw');
    create('qcow2', 'big.qcow2', '-o', 'cluster_size=2M', '-b', './base.img', '-F', 'raw');
    create('qcow2', 'small.qcow2', '-o', 'cluster_size=512', '-b', 'base.img', '-F', 'raw');
    qemuImg('rebase', '-u', '-f', 'qcow2', '-b', 'gone.img', '-F', 'raw', 'small.qcow2');
    expect(await needs('v3.qcow2')).to.deep.equal({ format: 'qcow2', needs: [`path ${pool}/base.img`] });
    expect(await needs('v2.qcow2')).to.deep.equal({ format: 'qcow2', needs: [`path ${pool}/base.img`] });
    expect(await needs('big.qcow2')).to.deep.equal({ format: 'qcow2', needs: [`path ${pool}/./base.img`] });
    expect(await needs('small.qcow2')).to.deep.equal({ format: 'qcow2', needs: [`path ${pool}/gone.img`] });
  });

  it('resolve relative names as qemu-img does', async () => {
    for (const name of ['b.img', './a:b.img', '../b.img', 'sub//b.img', '/abs/b.img', 'ä b.img']) {
      create('qcow2', 'top.qcow2', '-u', '-b', name, '-F', 'raw');
      const info: unknown = JSON.parse(
        execFileSync('qemu-img', ['info', '--output=json', join(pool, 'top.qcow2')], { encoding: 'utf8' }),
      );
      const { references } = await inspect('top.qcow2');
      expect(info).to.have.property('full-backing-filename', references[0]?.value);
    }
  });

  it('need nothing any more after their backing file was taken away', async () => {
    create('raw', 'base.img');
    create('qcow2', 'top.qcow2', '-b', 'base.img', '-F', 'raw');
    qemuImg('rebase', '-u', '-f', 'qcow2', '-b', '', 'top.qcow2');
    expect(await needs('top.qcow2')).to.deep.equal({ format: 'qcow2', needs: [] });
  });

  it('name a qcow2 backing file in json form', async () => {
    create('raw', 'base.img');
    for (const name of [
      `json:{"driver":"raw","file":{"driver":"file","filename":"${pool}/base.img"}}`,
      `json:{"driver":"raw","file.driver":"file","file.filename":"${pool}/base.img"}`,
      `json:{'driver':'raw','file':{'driver':'file','filename':'${pool}/base.img'}}`,
    ]) {
      create('qcow2', 'top.qcow2', '-b', name, '-F', 'raw');
      expect(await needs('top.qcow2')).to.deep.equal({ format: 'qcow2', needs: [`path ${pool}/base.img`] });
    }
  });

  it('name their qcow2 data file', async () => {
    create('qcow2', 'x.qcow2', '-o', `data_file=${pool}/x.raw,data_file_raw=on`);
    create('qcow2', 'y.qcow2', '-o', 'data_file=y.raw');
    expect(await needs('x.qcow2')).to.deep.equal({ format: 'qcow2', needs: [`path ${pool}/x.raw`] });
    expect(await needs('y.qcow2')).to.deep.equal({ format: 'qcow2', needs: [`path ${pool}/y.raw`, 'text y.raw'] });
  });

  it('need nothing when they are encrypted without a parent', async () => {
    await writeFile(join(pool, 'key'), 'secret');
    const secret = ['--object', 'secret,id=s,file=key', '-o', 'encrypt.format=aes,encrypt.key-secret=s'];
    create('qcow2', 'x.qcow2', ...secret);
    expect(await needs('x.qcow2')).to.deep.equal({ format: 'qcow2', needs: [] });
  });

  it('name the parent of qcow and QED overlays', async () => {
    create('raw', 'base.img');
    create('qcow', 'x.qcow', '-b', 'base.img', '-F', 'raw');
    create('qed', 'x.qed', '-b', 'base.img', '-F', 'raw');
    expect(await needs('x.qcow')).to.deep.equal({ format: 'qcow', needs: [`path ${pool}/base.img`] });
    expect(await needs('x.qed')).to.deep.equal({ format: 'qed', needs: [`path ${pool}/base.img`] });
  });

  it('name the extents and the parent of every kind of VMDK', async () => {
    const extents: Record<string, string[]> = {
      monolithicSparse: [],
      monolithicFlat: ['-flat'],
      twoGbMaxExtentSparse: ['-s001'],
      twoGbMaxExtentFlat: ['-f001'],
      streamOptimized: [],
    };
    for (const [kind, suffixes] of Object.entries(extents)) {
      create('vmdk', `${kind}.vmdk`, '-o', `subformat=${kind}`);
      const files = suffixes.map((suffix) => `path ${pool}/${kind}${suffix}.vmdk`);
      expect(await needs(`${kind}.vmdk`)).to.deep.equal({ format: 'vmdk', needs: files });
    }
    expect(await needs('monolithicFlat-flat.vmdk')).to.deep.equal({ format: 'raw', needs: [] });
    expect(await needs('twoGbMaxExtentSparse-s001.vmdk')).to.deep.equal({ format: 'vmdk', needs: [] });
    create('vmdk', 'top.vmdk', '-b', 'monolithicSparse.vmdk', '-F', 'vmdk');
    expect(await needs('top.vmdk')).to.deep.equal({ format: 'vmdk', needs: [`path ${pool}/monolithicSparse.vmdk`] });
    create('vmdk', 'split.vmdk', '-o', 'subformat=twoGbMaxExtentSparse', '-b', 'monolithicSparse.vmdk', '-F', 'vmdk');
    const parts = [`path ${pool}/split-s001.vmdk`, `path ${pool}/monolithicSparse.vmdk`];
    expect(await needs('split.vmdk')).to.deep.equal({ format: 'vmdk', needs: parts });
  });

  it('are undecided when they are cut off', async () => {
    create('vhdx', 'x.vhdx');
    await truncate(join(pool, 'x.vhdx'), 1000);
    const { references, undecided, remedy } = await inspect('x.vhdx');
    expect({ references, undecided, remedy }).to.deep.equal({
      references: [],
      undecided: `qemu-img cannot inspect '${pool}/x.vhdx'`,
      remedy: "run 'qemu-img info' on it to see why",
    });
  });

  it('are shown to qemu-img by their literal names', async () => {
    for (const name of ['-x', 'json:{}', 'nbd:h:1', 'a,b=c,file.filename=d', 'x\ny', 'file:z', '%41']) {
      create('vhdx', name);
      expect(await needs(name)).to.deep.equal({ format: 'vhdx', needs: [] });
    }
  });

  it('are undecided with a remedy when qemu-img is missing', async () => {
    create('vhdx', 'x.vhdx');
    const path = join(pool, 'x.vhdx');
    await using image = await openLocalImage(path);
    const inspected = await inspectImage(image, { runQemuImg: createQemuImgInfo({ command: join(pool, 'qemu-img') }) });
    expect(inspected).to.deep.equal({
      format: 'vhdx',
      references: [],
      undecided: `cannot inspect '${path}': qemu-img is missing`,
      remedy: "install it, e.g. 'apt-get install qemu-utils'",
      savedDomainXml: undefined,
    });
  });

  it('are undecided when qemu-img hangs, floods or says something else', async () => {
    const scripts = ['exec sleep 60', 'exec yes', 'echo nonsense', 'echo [1]', 'kill -9 $$'];
    for (const [index, script] of scripts.entries()) {
      const command = join(pool, `fake${index}`);
      await writeFile(command, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const answer = await createQemuImgInfo({ command, timeoutMs: 300 })('/x', 'vhdx').catch(
        (error: unknown) => error,
      );
      expect(answer).to.be.instanceOf(FailureError);
    }
    expect(await runQemuImg('a\0b', 'vhdx').catch((error: unknown) => error)).to.be.instanceOf(FailureError);
  });

  it('may be offered when they are plain qcow2, however they were made', async () => {
    for (const options of [
      'compat=0.10',
      'compat=1.1',
      'compression_type=zstd',
      'extended_l2=on',
      'cluster_size=512',
      'cluster_size=2M',
      'refcount_bits=64',
      'preallocation=metadata',
      'lazy_refcounts=on',
    ]) {
      create('qcow2', 'x.qcow2', '-o', options);
      const { size } = await stat(join(pool, 'x.qcow2'), { bigint: true });
      const head = (await readFile(join(pool, 'x.qcow2'))).subarray(0, 65_536);
      const checked = checkDownloadedHeader(head, { name: options, sizeBytes: size });
      expect(checked).to.deep.equal({ format: 'qcow2', virtualSizeBytes: 64n << 20n });
    }
  });
});
