import { fstatSync } from 'node:fs';

/**
 * Whether a descriptor is connected to the journal, as systemd.exec(5) has it: `JOURNAL_STREAM` names device and inode of
 * what the service manager had connected, and it may be inherited by processes that were redirected since.
 */
export function isJournalStream(descriptor: number, env: Readonly<Record<string, string | undefined>>): boolean {
  const named = env['JOURNAL_STREAM'];
  if (named === undefined) return false;
  try {
    const { dev, ino } = fstatSync(descriptor, { bigint: true });
    return named === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
