import type { Progress } from '../core/ports.ts';
import { track } from '../core/track.ts';
import { runTask, type TaskDesk, type TaskProgress, type TaskRequest } from './run-task.ts';

/** Carries out one long operation, which is written down as a task and shown on a terminal. @throws whatever `work` throws. */
export function runWatchedTask<T>(
  desk: TaskDesk & { readonly progress: Progress },
  label: string,
  request: TaskRequest,
  work: (onProgress: TaskProgress) => Promise<T>,
): Promise<T> {
  const { totalBytes } = request;
  const bar = { label, ...(totalBytes !== undefined && { totalBytes }) };
  return track(desk.progress, bar, ({ reach }) =>
    runTask(desk, request, (progress) =>
      work((doneBytes) => {
        reach(doneBytes);
        progress(doneBytes);
      }),
    ),
  );
}
