import { randomBytes } from 'node:crypto';
import type { Identity } from '../core/identity.ts';
import type { Clock } from '../core/ports.ts';
import type { Task, TaskKind } from '../core/task.ts';
import { IntegrityError, PoolkeeperError } from '../errors.ts';
import { readHostMoment, readPidNamespace, readProcessStart } from '../state/host-moment.ts';
import { writeTask } from '../state/tasks.ts';

/** What is going to be done. */
export interface TaskRequest {
  readonly kind: TaskKind;
  readonly volumeName: string;
  readonly identity?: Identity | undefined;
  /** How much there is to do; `undefined`: not known. */
  readonly totalBytes?: bigint | undefined;
}

/** Where tasks are written down, and by whom. */
export interface TaskDesk {
  readonly paths: { readonly tasks: string };
  readonly clock: Clock;
  readonly pid: number;
}

/** Called with how much is done by now, in bytes from the beginning. */
export type TaskProgress = (doneBytes: bigint) => void;

/** Progress is for people, who look once in a while. */
const PROGRESS_INTERVAL_MS = 1000;

/**
 * Carries out one long operation and keeps a record of it: that it runs, how far it is, how it ended. The record is a
 * service to those who watch: what keeps it from being written, such as a full disk, does not keep the operation from being done.
 *
 * @throws whatever `work` throws; the record then says so.
 */
export async function runTask<T>(
  desk: TaskDesk,
  request: TaskRequest,
  work: (progress: TaskProgress) => Promise<T>,
): Promise<T> {
  const log = await TaskLog.open(desk, request);
  try {
    const result = await work((doneBytes) => log.progress(doneBytes));
    await log.end('success', undefined);
    return result;
  } catch (error) {
    await log.end('failure', error instanceof Error ? error.message : String(error));
    throw error;
  }
}

/** The record of one task, written one time after the other. */
class TaskLog {
  readonly #desk: TaskDesk;
  #task: Task;
  #lastWrite: Promise<void>;

  private constructor(desk: TaskDesk, task: Task) {
    this.#desk = desk;
    this.#task = task;
    this.#lastWrite = write(desk, task);
  }

  static async open(desk: TaskDesk, { kind, volumeName, identity, totalBytes }: TaskRequest): Promise<TaskLog> {
    const now = desk.clock.now();
    const { bootId } = await readHostMoment(now);
    const processStart = await readProcessStart(desk.pid);
    if (processStart === undefined) throw new IntegrityError('the kernel does not tell when this process started');
    const id = randomBytes(4).toString('hex');
    const subject = { id, kind, volumeName, identity, totalBytes };
    const process = { pid: desk.pid, processStart, pidNamespace: readPidNamespace(), bootId };
    const state = { status: 'processing' as const, createdAt: now, updatedAt: now, doneBytes: 0n, message: undefined };
    const log = new TaskLog(desk, { ...subject, ...process, ...state });
    await log.#lastWrite;
    return log;
  }

  progress(doneBytes: bigint): void {
    const now = this.#desk.clock.now();
    const isDue = now - this.#task.updatedAt >= PROGRESS_INTERVAL_MS;
    this.#task = { ...this.#task, doneBytes, ...(isDue && { updatedAt: now }) };
    if (isDue) this.#write();
  }

  async end(status: 'success' | 'failure', message: string | undefined): Promise<void> {
    this.#task = { ...this.#task, status, message, updatedAt: this.#desk.clock.now() };
    this.#write();
    await this.#lastWrite;
  }

  #write(): void {
    const task = this.#task;
    this.#lastWrite = this.#lastWrite.then(() => write(this.#desk, task));
    // Whoever ends the task waits for it; until then nobody does.
    this.#lastWrite.catch(() => undefined);
  }
}

async function write({ paths }: TaskDesk, task: Task): Promise<void> {
  try {
    await writeTask(paths.tasks, task);
  } catch (error) {
    if (!(error instanceof PoolkeeperError)) throw error;
  }
}
