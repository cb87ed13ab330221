/**
 * Runs the program and ends something at the Nth point of its way: before and after each call of libvirt that changes
 * something, each line of the journal, and each move of a file into or out of the trash. Run as `node kill-points.js N PID ARGUMENT…`: with PID 0 the program itself is
 * ended, with SIGKILL; with N 0 nothing is, and every point is named on standard error.
 */
import { writeSync } from 'node:fs';
import { main } from '../../src/cli.ts';
import { Lane } from '../../src/libvirt/lane.ts';
import { Journal } from '../../src/state/journal.ts';
import { PoolTrash } from '../../src/state/trash.ts';

const CHANGES = /^(?:create|delete|write to|refresh) /;

const [, , at = '0', pid = '0'] = process.argv;
process.argv.splice(2, 2);
let points = 0;

function pass(label: string): void {
  points += 1;
  if (at === '0') writeSync(2, `${label}\n`);
  if (points !== Number(at)) return;
  process.kill(Number(pid) === 0 ? process.pid : Number(pid), 'SIGKILL');
  if (pid !== '0') writeSync(2, 'killed\n');
}

async function between<T>(label: string, act: () => Promise<T>): Promise<T> {
  pass(`before ${label}`);
  const result = await act();
  pass(`after ${label}`);
  return result;
}

/* oxlint-disable typescript/unbound-method -- they are called with their own `this` */
const call = Lane.prototype.call as (this: Lane, what: string, ...rest: unknown[]) => Promise<unknown>;
Lane.prototype.call = function (this: Lane, what: string, ...rest: unknown[]) {
  const act = () => call.call(this, what, ...rest);
  return CHANGES.test(what) ? between(what, act) : act();
} as typeof Lane.prototype.call;

const { begin, done } = Journal.prototype;
Journal.prototype.begin = function (intent) {
  return between(`begin ${intent.kind}`, () => begin.call(this, intent));
};
Journal.prototype.done = function (id) {
  return between('done', () => done.call(this, id));
};

// oxlint-disable-next-line typescript/unbound-method -- as above
const { throwAway, bringBack, unlink } = PoolTrash.prototype;
const moved = <T>(label: string, act: () => T): T => {
  pass(`before ${label}`);
  const result = act();
  pass(`after ${label}`);
  return result;
};
PoolTrash.prototype.throwAway = function (name, place, id) {
  return moved('trash move', () => throwAway.call(this, name, place, id));
};
PoolTrash.prototype.bringBack = function (place, id, name) {
  moved('trash return', () => bringBack.call(this, place, id, name));
};
PoolTrash.prototype.unlink = function (place, id, name) {
  moved('trash unlink', () => unlink.call(this, place, id, name));
};

await main();
