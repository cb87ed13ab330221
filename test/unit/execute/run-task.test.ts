import { chmod, rm } from 'node:fs/promises';
import { expect } from 'chai';
import { runTask } from '../../../src/execute/run-task.ts';
import { readTasks } from '../../../src/state/tasks.ts';
import { temporaryDir } from '../state/support.ts';

const REQUEST = { kind: 'verify', volumeName: 'base.qcow2', totalBytes: 100n } as const;

describe('a task', () => {
  const at = temporaryDir();
  let now = 0;
  const desk = () => ({ paths: { tasks: at() }, clock: { now: () => now }, pid: process.pid });
  const known = async () => (await readTasks(at())).tasks;

  it('is written down while it runs, at most once a second, and when it is over', async () => {
    now = 5000;
    const result = await runTask(desk(), REQUEST, async (progress) => {
      expect((await known()).map(({ status, doneBytes }) => [status, doneBytes])).to.deep.equal([['processing', 0n]]);
      now = 5999;
      progress(10n);
      now = 6000;
      progress(20n);
      progress(30n);
      return 'all';
    });
    expect(result).to.equal('all');
    const [task] = await known();
    expect(task).to.deep.include({
      status: 'success',
      createdAt: 5000,
      updatedAt: 6000,
      doneBytes: 30n,
      totalBytes: 100n,
    });
  });

  it('fails with the reason of what was done', async () => {
    const ended = await runTask(desk(), REQUEST, () => Promise.reject(new Error('no space'))).catch((error) => error);
    expect(ended).to.be.instanceOf(Error).with.property('message', 'no space');
    expect((await known()).map(({ status, message }) => [status, message])).to.deep.equal([['failure', 'no space']]);
  });

  it('is done even where nothing can be written about it', async () => {
    await chmod(at(), 0o500);
    await rm(at(), { recursive: true });
    expect(await runTask(desk(), REQUEST, () => Promise.resolve(7))).to.equal(7);
  });
});
