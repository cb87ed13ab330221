import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { FailureError } from '../../../src/errors.ts';
import { openLocalImage } from '../../../src/image-format/local-file.ts';

async function refusal(path: string): Promise<string> {
  try {
    await using image = await openLocalImage(path);
    return `opened ${image.path}`;
  } catch (error) {
    expect(error).to.be.instanceOf(FailureError);
    return error instanceof Error ? error.message : '';
  }
}

describe('openLocalImage', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'poolkeeper-local-'));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it('reads a range, and less only where the file ends', async () => {
    const path = join(directory, 'x.img');
    await writeFile(path, 'abcdefgh');
    await using image = await openLocalImage(path);
    const texts = await Promise.all(
      [0n, 6n, 8n, 1n << 63n].map(async (offset) => Buffer.from(await image.read(offset, 4)).toString()),
    );
    expect([image.path, texts]).to.deep.equal([path, ['abcd', 'gh', '', '']]);
  });

  it('opens what a link points to, and keeps the path of the link', async () => {
    const [file, link] = [join(directory, 'x.img'), join(directory, 'link')];
    await writeFile(file, 'abc');
    await symlink(file, link);
    await using image = await openLocalImage(link);
    expect([image.path, Buffer.from(await image.read(0n, 8)).toString()]).to.deep.equal([link, 'abc']);
  });

  it('refuses fifos, character devices and directories without opening them', async () => {
    const fifo = join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const path of [fifo, '/dev/zero', directory]) {
      expect(await refusal(path)).to.equal(
        `cannot read image '${path}': it is neither a regular file nor a block device`,
      );
    }
  });

  it('says which file cannot be opened', async () => {
    const path = join(directory, 'gone');
    expect(await refusal(path)).to.equal(`cannot open image '${path}'`);
    expect(await refusal('a\0b')).to.equal("cannot open image 'a\0b'");
  });
});
