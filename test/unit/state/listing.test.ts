import { writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { FailureError, NoMatchError } from '../../../src/errors.ts';
import { attempt, listDirectory } from '../../../src/state/listing.ts';
import { rejection, temporaryDir } from './support.ts';

describe('listDirectory', () => {
  const at = temporaryDir();

  it('lists in the order of the names', async () => {
    for (const name of ['b', 'a', 'C', 'ä']) await writeFile(at(name), '');
    expect((await listDirectory(at())).map(({ name }) => name)).to.deep.equal(['C', 'a', 'b', 'ä']);
  });

  it('finds nothing in a directory that is not there, and refuses what is none', async () => {
    await writeFile(at('file'), '');
    expect(await listDirectory(at('none'))).to.deep.equal([]);
    expect(await rejection(listDirectory(at('file')))).to.be.instanceOf(FailureError);
  });
});

describe('attempt', () => {
  it('gives the value, or the error of ours', async () => {
    const error = new NoMatchError('nothing');
    expect(await attempt(async () => await Promise.resolve(5))).to.equal(5);
    expect(await attempt(async () => await Promise.reject(error))).to.equal(error);
  });

  it('lets bugs through', async () => {
    const bug = new TypeError('bug');
    const outcome = attempt(async () => await Promise.reject(bug));
    expect(await outcome.catch((error: unknown) => error)).to.equal(bug);
  });
});
