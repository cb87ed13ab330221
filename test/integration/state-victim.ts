/**
 * A process that writes state until it is killed. Run as `node state-victim.js ROLE PATH`; each acknowledged step is a
 * line on standard output, written synchronously, so that the parent knows what must have survived.
 */
import { writeSync } from 'node:fs';
import { writeFileAtomic } from '../../src/state/atomic-file.ts';
import { openJournal } from '../../src/state/journal.ts';
import { acquireLock } from '../../src/state/lock.ts';
import { writeMetadataFile } from '../../src/state/metadata-files.ts';

const FILE_BYTES = 256 * 1024;
const identity = { product: 'p', version: '1' };

const ROLES: Readonly<Record<string, (path: string) => Promise<void>>> = {
  async atomic(path) {
    for (let round = 1; ; round += 1) {
      await writeFileAtomic(path, Buffer.alloc(FILE_BYTES, `${round % 10}`), { mode: 0o640 });
      say(`${round % 10}`);
    }
  },
  async metadata(dir) {
    for (let round = 1; ; round += 1) {
      await writeMetadataFile(dir, identity, { round: `${round}` });
      say(`${round}`);
    }
  },
  async journal(path) {
    const journal = await openJournal(path);
    for (const { id } of journal.openIntents()) await journal.done(id);
    say('open');
    for (;;) {
      const id = await journal.begin({ kind: 'publish', identity });
      say(`begin ${id}`);
      await journal.note(id, { etag: 'x'.repeat(200) });
      // Every third intent stays open, as that of a failed download would.
      if (id % 3 === 0) continue;
      say(`closing ${id}`);
      await journal.done(id);
    }
  },
  /** Started with a limit on the size of files: writes end half-way, as on a full disk. */
  async limited(path) {
    const journal = await openJournal(path);
    try {
      for (;;) await journal.begin({ kind: 'publish', identity: { product: 'p'.repeat(100), version: '1' } });
    } catch (error) {
      say(String(error));
    }
    await journal.done(1);
    await writeFileAtomic(`${path}.file`, Buffer.alloc(FILE_BYTES), { mode: 0o640 }).catch((error: unknown) => {
      say(String(error));
    });
  },
  async lock(path) {
    await acquireLock(path, {
      command: 'poolkeeper sync',
      pid: process.pid,
      host: 'host1',
      since: '2026-11-20T19:38:00Z',
    });
    say('locked');
    await new Promise(() => setInterval(() => undefined, 60_000));
  },
};

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

const [, , role = '', path = ''] = process.argv;
await ROLES[role]?.(path);
