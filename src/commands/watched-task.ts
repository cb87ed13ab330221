import { track } from '../core/track.ts';
import type { Environment } from '../execute/environment.ts';
import { runTask, type TaskProgress, type TaskRequest } from '../execute/run-task.ts';

/** Carries out one long operation, which is written down as a task and shown on a terminal. @throws whatever `work` throws. */
export function runWatchedTask<T>(
  environment: Environment,
  label: string,
  request: TaskRequest,
  work: (onProgress: TaskProgress) => Promise<T>,
): Promise<T> {
  const { totalBytes } = request;
  const bar = { label, ...(totalBytes !== undefined && { totalBytes }) };
  return track(environment.progress, bar, ({ reach }) =>
    runTask(environment, request, (progress) =>
      work((doneBytes) => {
        reach(doneBytes);
        progress(doneBytes);
      }),
    ),
  );
}
