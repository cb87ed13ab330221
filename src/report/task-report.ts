import { formatBytes } from '../core/byte-size.ts';
import { formatDuration } from '../core/duration.ts';
import { identityText } from '../core/identity.ts';
import { isOver, type Task } from '../core/task.ts';
import { isoTime } from './iso-time.ts';
import type { Fields, Reporter } from './reporter.ts';
import type { Style } from './surface.ts';
import { type Column, renderTable, showTable } from './table.ts';
import type { Surface } from './surface.ts';

const STYLES: Readonly<Record<Task['status'], Style | undefined>> = {
  pending: 'dim',
  processing: 'cyan',
  success: undefined,
  failure: 'red',
};

const COLUMNS: readonly Column<Task>[] = [
  { title: 'ID', text: ({ id }) => id },
  { title: 'TASK', text: ({ kind }) => kind },
  { title: 'IMAGE', text: imageText, shrinksTo: 24, keepsEnd: true },
  { title: 'STATUS', text: ({ status }) => status, style: ({ status }) => STYLES[status] },
  { title: 'DONE', text: doneText, isRightAligned: true },
  { title: 'BEGAN', text: ({ createdAt }) => isoTime(createdAt), isOptional: true },
  { title: 'TOOK', text: tookText, isRightAligned: true },
  { title: 'MESSAGE', text: ({ message = '' }) => message, shrinksTo: 8, isOptional: true },
];

/** Shows tasks, one in a row. */
export function showTasks(rows: readonly Task[], reporter: Reporter): void {
  showTable({ messageType: 'task', columns: COLUMNS, rows, fields: taskFields }, reporter);
}

/** The rows of tasks as text, for a screen that is drawn again and again. */
export function renderTasks(rows: readonly Task[], surface: Surface): string {
  return renderTable({ columns: COLUMNS, rows }, surface);
}

/** A task in one line, in the words of a list below an image. */
export function taskLine(task: Task): string {
  const { id, kind, status, createdAt, message } = task;
  const why = message === undefined ? '' : `: ${message}`;
  return `${id} ${kind} ${status}, ${doneText(task)}, began ${isoTime(createdAt)}${why}`;
}

/** The facts about a task, for JSON. */
export function taskFields(task: Task): Fields {
  const { id, kind, volumeName, identity, status, createdAt, updatedAt, doneBytes, totalBytes, message, pid } = task;
  return {
    id,
    kind,
    volume: volumeName,
    ...identity,
    status,
    created_at: isoTime(createdAt),
    updated_at: isoTime(updatedAt),
    done_bytes: doneBytes,
    total_bytes: totalBytes,
    message,
    pid,
  };
}

function imageText({ identity, volumeName }: Task): string {
  return identity === undefined ? volumeName : identityText(identity);
}

/** How much is done, as a share where the whole is known; what succeeded is done wholly. */
function doneText({ status, doneBytes, totalBytes }: Task): string {
  if (status === 'success') return '100%';
  if (totalBytes === undefined || totalBytes === 0n) return doneBytes === 0n ? '-' : formatBytes(doneBytes);
  return `${Math.min(100, Number((doneBytes * 100n) / totalBytes))}%`;
}

function tookText(task: Task): string {
  return isOver(task) ? formatDuration(Math.max(0, task.updatedAt - task.createdAt)) : '-';
}
