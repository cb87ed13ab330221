import { mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { Task } from '../../../src/core/task.ts';
import { IntegrityError } from '../../../src/errors.ts';
import { readHostMoment, readProcessStart } from '../../../src/state/host-moment.ts';
import { pruneTasks, readTasks, writeTask } from '../../../src/state/tasks.ts';
import { removeTemporaryFiles } from '../../../src/state/atomic-file.ts';
import { temporaryDir } from './support.ts';

const DAY = 86_400_000;
const OVER: Task = {
  id: '3f2a9c01',
  kind: 'import',
  volumeName: 'x-uvt-b64-cH5-fiAx',
  identity: { product: 'p~~~', version: '1' },
  status: 'success',
  createdAt: 1000 * DAY,
  updatedAt: 1000 * DAY + 5,
  doneBytes: 2n ** 60n,
  totalBytes: undefined,
  message: undefined,
  pid: 123,
  processStart: 4567,
  bootId: 'b007',
};

async function ours(): Promise<Pick<Task, 'pid' | 'processStart' | 'bootId'>> {
  const { bootId } = await readHostMoment(0);
  return { pid: process.pid, processStart: (await readProcessStart(process.pid)) ?? 0, bootId };
}

describe('tasks', () => {
  const at = temporaryDir();

  it('are read as they were written, the newest first', async () => {
    const later = { ...OVER, id: '00000001', createdAt: OVER.createdAt + 1, totalBytes: 5n, message: 'done "so"' };
    await writeTask(at(), OVER);
    await writeTask(at(), later);
    expect(await readTasks(at())).to.deep.equal({ tasks: [later, OVER], unreadable: [] });
  });

  it('are none where there is no directory', async () => {
    expect(await readTasks(at('nothing'))).to.deep.equal({ tasks: [], unreadable: [] });
  });

  it('are under way only as long as their process lives', async () => {
    const alive: Task = { ...OVER, ...(await ours()), status: 'processing' };
    await writeTask(at(), alive);
    for (const [id, change] of [
      ['00000002', { processStart: alive.processStart + 1 }],
      ['00000003', { pid: 2 ** 22 + 1 }],
    ] as const) {
      await writeTask(at(), { ...alive, ...change, id, createdAt: 0 });
    }
    const { tasks } = await readTasks(at());
    expect(tasks.map(({ status }) => status)).to.deep.equal(['processing', 'failure', 'failure']);
    expect(tasks[1]?.message).to.equal('the process that worked on it is gone');
  });

  it('are not over because a container gives the boot another name, or numbers processes otherwise [C5]', async () => {
    const alive: Task = { ...OVER, ...(await ours()), status: 'processing' };
    await writeTask(at(), { ...alive, bootId: 'b006' });
    await writeTask(at(), { ...alive, id: '00000002', pid: 2 ** 22 + 1, pidNamespace: 'pid:[1]' });
    expect((await readTasks(at())).tasks.map(({ status }) => status)).to.deep.equal(['processing', 'processing']);
  });

  for (const [title, change] of [
    ['of another id than its name', { id: '3f2a9c02' }],
    ['of a status that there is not', { status: 'done' }],
    ['of a kind that there is not', { kind: 'sync' }],
    ['without a number of bytes', { doneBytes: -1 }],
  ] as const) {
    it(`are named when one is ${title}, and do not hide the others`, async () => {
      await writeTask(at(), OVER);
      const text = JSON.stringify({ formatVersion: 1, ...OVER, doneBytes: '1', id: '3f2a9c03', ...change });
      await writeFile(at('3f2a9c03.json'), text);
      const { tasks, unreadable } = await readTasks(at());
      expect(tasks).to.deep.equal([OVER]);
      expect(unreadable.map(({ name }) => name)).to.deep.equal(['3f2a9c03.json']);
      expect(unreadable[0]?.error).to.be.instanceOf(IntegrityError);
    });
  }

  it('are forgotten when nothing was written about them for thirty days', async () => {
    const now = Date.now();
    for (const [id, age] of [
      ['00000001', 31 * DAY],
      ['00000002', 29 * DAY],
      ['00000003', -400 * DAY],
    ] as const) {
      await writeTask(at(), { ...OVER, id });
      await utimes(at(`${id}.json`), (now - age) / 1000, (now - age) / 1000);
    }
    await pruneTasks(at(), now);
    expect(await readdir(at())).to.have.members(['00000002.json', '00000003.json']);
  });

  it('are forgotten beside what does not belong there, which is left alone and keeps nobody from working', async () => {
    const long = (Date.now() - 31 * DAY) / 1000;
    const strays = ['folder', '00000004.json', '.00000000-0000-0000-0000-000000000000.tmp'];
    for (const name of strays) await mkdir(at(name, 'full'), { recursive: true });
    await symlink('/nowhere', at('00000005.json'));
    await writeFile(at('notes.txt'), 'mine');
    await writeTask(at(), { ...OVER, id: '00000006' });
    for (const name of [...strays, 'notes.txt', '00000006.json']) await utimes(at(name), long, long);
    await removeTemporaryFiles(at());
    await pruneTasks(at(), Date.now());
    expect(await readdir(at())).to.have.members([...strays, '00000005.json', 'notes.txt']);
  });
});
