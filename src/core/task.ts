import type { Identity } from './identity.ts';

/** The statuses of a task, in Glance's words. */
export const TASK_STATUSES = ['pending', 'processing', 'success', 'failure'] as const;

export type TaskStatus = (typeof TASK_STATUSES)[number];

/** What takes long enough to be looked at. */
export const TASK_KINDS = ['fetch', 'import', 'clone', 'snapshot', 'revert', 'flatten', 'verify', 'delete'] as const;

export type TaskKind = (typeof TASK_KINDS)[number];

/** One long operation on one image, under way or over. */
export interface Task {
  readonly id: string;
  readonly kind: TaskKind;
  readonly volumeName: string;
  readonly identity: Identity | undefined;
  readonly status: TaskStatus;
  /** In milliseconds since the epoch. */
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly doneBytes: bigint;
  /** `undefined`: not known. */
  readonly totalBytes: bigint | undefined;
  /** Why it failed, or what came of it. */
  readonly message: string | undefined;
  /** The process that works on it, and when that started, in ticks since boot: process numbers are used again. */
  readonly pid: number;
  readonly processStart: number;
  /** Where that number means this process; `undefined`: version 0.1 wrote the task down. */
  readonly pidNamespace?: string | undefined;
  readonly bootId: string;
}

/** How long a task that is over is remembered. */
export const TASK_HISTORY_MS = 30 * 86_400_000;

/** Whether nothing will change about a task any more. */
export function isOver({ status }: Pick<Task, 'status'>): boolean {
  return status === 'success' || status === 'failure';
}

/** A task as it stands when its process is gone: it has failed, whatever was written down last. */
export function abandoned(task: Task): Task {
  return isOver(task) ? task : { ...task, status: 'failure', message: 'the process that worked on it is gone' };
}
