import type { Progress, ProgressTask } from './ports.ts';

/** Does long work, which is shown until it has ended, one way or the other. */
export async function track<T>(
  progress: Progress,
  { label, totalBytes }: { readonly label: string; readonly totalBytes?: bigint },
  work: (task: ProgressTask) => Promise<T>,
): Promise<T> {
  const task = progress.start(label, totalBytes);
  try {
    return await work(task);
  } finally {
    task.end();
  }
}
