/**
 * Loaded before the measured program with `--require`: at exit it writes to descriptor 3 what the process took. The peak
 * is VmHWM, because the kernel lets `ru_maxrss` begin with the memory of the process that forked this one.
 */
process.once('exit', () => {
  const { readFileSync, writeSync } = process.getBuiltinModule('node:fs');
  const numberIn = (path: string, field: RegExp): number => Number(field.exec(readFileSync(path, 'latin1'))?.[1]);
  const { user, system } = process.cpuUsage();
  const usage = {
    cpuMs: (user + system) / 1000,
    peakRssBytes: numberIn('/proc/self/status', /^VmHWM:\s+(\d+)/m) * 1024,
    writtenBytes: numberIn('/proc/self/io', /^write_bytes:\s+(\d+)/m),
  };
  writeSync(3, JSON.stringify(usage));
});
