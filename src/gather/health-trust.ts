import { existsSync } from 'node:fs';
import { formatDuration } from '../core/duration.ts';
import { type Finding, ok, problem, warning } from '../core/finding.ts';
import { type KeySummary, listKeys } from '../simplestreams/keyring.ts';
import { readFileBounded } from '../state/atomic-file.ts';

const MAX_KEYRING_BYTES = 16 * 1024 * 1024;
/** Time enough to get a new key. */
const SOON_MS = 30 * 86_400_000;

/** Whether there are keys in a file to verify sources with, and for how long. @throws TrustError when it is no keyring. */
export async function checkKeyring(path: string, now: number): Promise<readonly Finding[]> {
  if (!existsSync(path))
    return [
      problem(
        `there is no keyring '${path}'`,
        `apt-get install ubuntu-cloudimage-keyring, or 'poolkeeper keyring add'`,
      ),
    ];
  const file = await readFileBounded(path, MAX_KEYRING_BYTES);
  const keys = await listKeys(file?.bytes ?? new Uint8Array());
  const findings = keys.map((key) => checkKey(key, path, now));
  // Distributions ship keys that have had their time beside those that serve now.
  return findings.some(({ level }) => level === 'ok') ? findings.filter(({ level }) => level !== 'problem') : findings;
}

function checkKey({ fingerprint, userIds, expiresAtMs, isRevoked }: KeySummary, path: string, now: number): Finding {
  const key = `key ${fingerprint} (${userIds[0] ?? 'nameless'}) in '${path}'`;
  const fix = `get the publisher's new key: 'poolkeeper keyring add'`;
  if (isRevoked) return problem(`${key} was revoked`, fix);
  if (expiresAtMs === undefined) return ok(`${key} does not expire`);
  const day = new Date(expiresAtMs).toISOString().slice(0, 10);
  if (expiresAtMs <= now) return problem(`${key} expired on ${day}`, fix);
  if (expiresAtMs - now > SOON_MS) return ok(`${key} is good until ${day}`);
  return warning(`${key} expires in ${formatDuration(expiresAtMs - now)}`, fix);
}
