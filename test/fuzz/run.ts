import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { fuzz } from './fuzz.ts';
import { openTargets, type Target } from './targets.ts';

/** `npm run fuzz`: every target for FUZZ_SECONDS (60), or only those whose name holds FUZZ_TARGET. */
const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 60);
/** What one input may take beyond the time, and what it takes to get ready. */
const PATIENCE_MS = 30_000;
const HEAP_MIB = 1024;

if (isMainThread) await fuzzAll();
else await fuzzOne(String(workerData));

/** Each target has a thread of its own, which is ended when it hangs and cannot take all memory. */
async function fuzzAll(): Promise<void> {
  const only = process.env['FUZZ_TARGET'] ?? '';
  const names = await withTargets((targets) => targets.map(({ name }) => name));
  for (const name of names.filter((text) => text.includes(only))) {
    const failure = await runThread(name);
    if (failure === undefined) continue;
    process.exitCode = 1;
    console.error(failure);
  }
}

async function runThread(name: string): Promise<unknown> {
  const options = { workerData: name, resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB } };
  const worker = new Worker(fileURLToPath(import.meta.url), options);
  return new Promise((resolve) => {
    const timer = setTimeout(
      () => {
        resolve(`${name}: it hangs`);
        void worker.terminate();
      },
      SECONDS * 1000 + PATIENCE_MS,
    );
    worker.once('error', resolve);
    worker.once('exit', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}

async function fuzzOne(wanted: string): Promise<void> {
  await withTargets(async (targets) => {
    const target = targets.find(({ name }) => name === wanted);
    if (target === undefined) throw new Error(`there is no target '${wanted}'`);
    console.log(`${wanted}: ${await fuzz(target, { seconds: SECONDS })} inputs, nothing found`);
  });
}

async function withTargets<T>(use: (targets: readonly Target[]) => T | Promise<T>): Promise<T> {
  const targets = await openTargets();
  try {
    return await use(targets);
  } finally {
    for (const target of targets) await target.close?.();
  }
}
