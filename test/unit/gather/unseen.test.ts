import { expect } from 'chai';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Edge } from '../../../src/core/use-graph.ts';
import { unseenImage } from '../../../src/gather/unseen.ts';

describe('an image that is missing', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pk-unseen-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is gone for good when other files are in its folder', async () => {
    await writeFile(join(folder, 'other.qcow2'), '');
    expect(await blindSpots()).to.equal(0);
  });

  it('may be on a file system that is not mounted when its folder is empty, but for what lies in such places', async () => {
    expect(await blindSpots()).to.equal(1);
    for (const name of ['.keep', 'lost+found']) await writeFile(join(folder, name), '');
    expect(await blindSpots()).to.equal(1);
  });

  async function blindSpots(): Promise<number> {
    const path = join(folder, 'top.qcow2');
    const reference = { kind: 'path', value: path, evidence: '/domain/devices/disk/source/@file' } as const;
    const edge: Edge = { reference, document: 'domain web1', tokens: [] };
    return (await unseenImage({ edge, path, state: 'missing' })).length;
  }
});
