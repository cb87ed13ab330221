import { appendFile, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import * as fc from 'fast-check';
import type { JournalIntent } from '../../../src/core/journal.ts';
import { EXIT, FailureError, IntegrityError } from '../../../src/errors.ts';
import { encodeLine } from '../../../src/state/journal-lines.ts';
import { openJournal, readOpenIntents, type Journal } from '../../../src/state/journal.ts';
import { rejection, temporaryDir } from './support.ts';

const identity = { product: 'p', version: '1' };
const FETCH: JournalIntent = {
  kind: 'fetch',
  volumeName: 'x-uvt-plain-p__1',
  identity,
  url: 'https://cloud-images.example/p/1.img',
  sizeBytes: 2n ** 60n + 1n,
  digest: { algorithm: 'sha256', hex: '0f'.repeat(32) },
};
const PUBLISH: JournalIntent = { kind: 'publish', identity };
const RETIRE: JournalIntent = { kind: 'retire', identity };
const CREATE: JournalIntent = { kind: 'create', volumeName: 'new', identity: { product: 'local:db', version: '1' } };
const DELETE: JournalIntent = { kind: 'delete', volumeName: 'old\nname', volumeKey: '/pool/old\nname' };

describe('journal', () => {
  const at = temporaryDir();
  const journals: Journal[] = [];

  async function opened(): Promise<Journal> {
    const journal = await openJournal(at('journal'));
    journals.push(journal);
    return journal;
  }

  afterEach(async () => {
    for (const journal of journals.splice(0)) await journal.close();
  });

  it('remembers what was begun and not done, with its notes, in order', async () => {
    const first = await opened();
    const ids = [];
    for (const intent of [FETCH, PUBLISH, RETIRE, DELETE, CREATE]) ids.push(await first.begin(intent));
    await first.note(1, { etag: '"a"', bytes: '5' });
    await first.note(1, { bytes: '7' });
    await first.done(2);
    const open = [
      { id: 1, intent: FETCH, notes: { etag: '"a"', bytes: '7' } },
      { id: 3, intent: RETIRE, notes: {} },
      { id: 4, intent: DELETE, notes: {} },
      { id: 5, intent: CREATE, notes: {} },
    ];
    expect(ids).to.deep.equal([1, 2, 3, 4, 5]);
    expect(first.openIntents()).to.deep.equal(open);
    expect(await readOpenIntents(at('journal'))).to.deep.equal(open);
    expect((await opened()).openIntents()).to.deep.equal(open);
  });

  it('goes on counting after it was opened again', async () => {
    await (await opened()).begin(FETCH);
    expect(await (await opened()).begin(PUBLISH)).to.equal(2);
    expect(await readOpenIntents(at('journal'))).to.have.length(2);
  });

  it('is emptied on opening when nothing is open', async () => {
    const journal = await opened();
    for (let round = 0; round < 20; round += 1) await journal.done(await journal.begin(DELETE));
    expect((await opened()).openIntents()).to.deep.equal([]);
    expect(await readFile(at('journal'))).to.deep.equal(encodeLine({ type: 'format' }));
  });

  it('can be read while it is written', async () => {
    const journal = await opened();
    const id = await journal.begin(FETCH);
    const notes = Array.from({ length: 300 }, (_, round) => journal.note(id, { round: `${round}` }));
    for (let round = 0; round < 50; round += 1) expect(await readOpenIntents(at('journal'))).to.have.length(1);
    await Promise.all(notes);
  });

  it('drops what is done when it is opened and has grown long', async () => {
    const journal = await opened();
    await journal.begin(FETCH);
    await journal.begin(RETIRE);
    for (let round = 0; round < 12; round += 1) await journal.note(1, { [`note ${round}`]: 'x'.repeat(100_000) });
    await journal.note(1, Object.fromEntries(Array.from({ length: 12 }, (_, round) => [`note ${round}`, 'y'])));
    const open = journal.openIntents();
    const reopened = await opened();
    const bytes = (await readFile(at('journal'))).length;
    expect({ open: reopened.openIntents(), isShort: bytes < 1000 }).to.deep.equal({ open, isShort: true });
    expect(await reopened.begin(PUBLISH)).to.equal(3);
    expect(await readOpenIntents(at('journal'))).to.have.length(3);
  });

  it('has nothing open where no file is, and reading makes none', async () => {
    expect(await readOpenIntents(at('journal'))).to.deep.equal([]);
    expect(await stat(at('journal')).catch(() => 'absent')).to.equal('absent');
  });

  it('is closed to other users', async () => {
    await opened();
    expect((await stat(at('journal'))).mode & 0o777).to.equal(0o640);
  });

  it('keeps concurrent entries apart', async () => {
    const journal = await opened();
    const ids = await Promise.all(Array.from({ length: 40 }, async () => await journal.begin(FETCH)));
    await Promise.all(ids.flatMap((id) => [journal.note(id, { id: `${id}` }), journal.note(id, { last: 'x' })]));
    await Promise.all(ids.filter((id) => id % 2 === 0).map(async (id) => await journal.done(id)));
    const open = ids
      .filter((id) => id % 2 === 1)
      .map((id) => ({ id, intent: FETCH, notes: { id: `${id}`, last: 'x' } }));
    expect(await readOpenIntents(at('journal'))).to.deep.equal(open);
    expect(journal.openIntents()).to.deep.equal(open);
  });

  it('treats closing what is not open as a bug, not as a failure of the user', async () => {
    const journal = await opened();
    expect(await journal.done(7).catch((error: unknown) => String(error))).to.equal('Error: intent 7 is not open');
    expect(await journal.note(7, {}).catch((error: unknown) => String(error))).to.equal('Error: intent 7 is not open');
  });

  it('stays readable when one intent is closed twice and noted at the same time', async () => {
    const journal = await opened();
    const id = await journal.begin(DELETE);
    const outcomes = await Promise.allSettled([journal.done(id), journal.note(id, { a: 'b' }), journal.done(id)]);
    expect(outcomes.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected', 'rejected']);
    expect(await readOpenIntents(at('journal'))).to.deep.equal([]);
  });

  it('takes nothing more once it could neither write nor cut back', async () => {
    const journal = await openJournal(at('journal'));
    await journal.begin(FETCH);
    await journal.close();
    const messages = [await rejection(journal.begin(PUBLISH)), await rejection(journal.begin(PUBLISH))].map(String);
    expect(messages).to.deep.equal([
      `FailureError: cannot write journal '${at('journal')}': EBADF`,
      `FailureError: cannot write journal '${at('journal')}' after an earlier failure`,
    ]);
    expect(journal.openIntents()).to.deep.equal([{ id: 1, intent: FETCH, notes: {} }]);
  });

  it('ignores a torn end, cuts it off and goes on', async () => {
    await (await opened()).begin(FETCH);
    const whole = await readFile(at('journal'));
    const next = encodeLine({ type: 'begin', id: 2, intent: PUBLISH });
    for (const torn of [next.subarray(0, 1), next.subarray(0, 30), next.subarray(0, -1), Buffer.alloc(4096)]) {
      await writeFile(at('journal'), Buffer.concat([whole, torn]));
      expect(await readOpenIntents(at('journal'))).to.deep.equal([{ id: 1, intent: FETCH, notes: {} }]);
      expect(await (await opened()).begin(RETIRE)).to.equal(2);
      expect(await readOpenIntents(at('journal'))).to.deep.equal([
        { id: 1, intent: FETCH, notes: {} },
        { id: 2, intent: RETIRE, notes: {} },
      ]);
    }
  });

  it('starts anew from a file of which nothing was written', async () => {
    for (const content of ['', '5cf', '\0\0\0\0']) {
      await writeFile(at('journal'), content);
      expect((await opened()).openIntents()).to.deep.equal([]);
      expect(await readFile(at('journal'))).to.deep.equal(encodeLine({ type: 'format' }));
    }
  });

  it('is readable when cut at any byte, and then knows a prefix of what it knew', async () => {
    const journal = await opened();
    await journal.begin(FETCH);
    await journal.begin(PUBLISH);
    const whole = await readFile(at('journal'));
    const seen = new Set<number>();
    for (let length = 0; length <= whole.length; length += 1) {
      await writeFile(at('cut'), whole.subarray(0, length));
      seen.add((await readOpenIntents(at('cut'))).length);
    }
    expect([...seen]).to.deep.equal([0, 1, 2]);
  });

  it('refuses any changed byte of a whole line, or has the very same meaning', async () => {
    const journal = await opened();
    await journal.begin(FETCH);
    await journal.begin(PUBLISH);
    const whole = await readFile(at('journal'));
    const last = whole.length - 1;
    await fc.assert(
      fc.asyncProperty(fc.nat(last - 1), fc.integer({ min: 1, max: 255 }), async (index, flip) => {
        const changed = Buffer.from(whole);
        changed[index] = (changed[index] ?? 0) ^ flip;
        await writeFile(at('changed'), changed);
        expect(await rejection(readOpenIntents(at('changed')))).to.be.instanceOf(IntegrityError);
      }),
      { numRuns: 60 },
    );
  });

  it('names file and line of the damage, exits 15, and leaves the file as it is', async () => {
    await (await opened()).begin(FETCH);
    await appendFile(at('journal'), 'garbage\n');
    await appendFile(at('journal'), encodeLine({ type: 'begin', id: 2, intent: PUBLISH }));
    const before = await readFile(at('journal'));
    const error = await rejection(openJournal(at('journal')));
    expect(error).to.be.instanceOf(IntegrityError);
    expect(error).to.include({ message: `journal '${at('journal')}', line 3 is damaged`, exitStatus: EXIT.integrity });
    expect(await readFile(at('journal'))).to.deep.equal(before);
  });

  const format = encodeLine({ type: 'format' });
  const begin = encodeLine({ type: 'begin', id: 1, intent: PUBLISH });
  for (const [what, lines, message] of [
    ['no format line', [begin], 'line 1 is out of place'],
    ['a second format line', [format, format], 'line 2 is out of place'],
    ['one id twice', [format, begin, begin], 'line 3: intent 1 is open already'],
    ['an end without a beginning', [format, encodeLine({ type: 'done', id: 1 })], 'line 2: intent 1 is not open'],
  ] as const) {
    it(`refuses ${what}`, async () => {
      await writeFile(at('journal'), Buffer.concat(lines));
      const error = await rejection(openJournal(at('journal')));
      expect(error).to.be.instanceOf(IntegrityError);
      expect(error.message).to.equal(`journal '${at('journal')}', ${message}`);
    });
  }

  it('refuses a newer format without calling it damaged', async () => {
    // The checksum of the line was made with `python3 -c 'import zlib; print(zlib.crc32(b"…"))'`.
    await writeFile(at('journal'), '23f49d0f {"type":"format","formatVersion":2}\n');
    const error = await rejection(openJournal(at('journal')));
    expect(error).to.be.instanceOf(FailureError);
    expect(error.message).to.equal(`journal '${at('journal')}', line 1 was written by a newer poolkeeper (format 2)`);
  });

  it('follows no symbolic link', async () => {
    await writeFile(at('target'), '');
    await symlink(at('target'), at('journal'));
    expect(await rejection(openJournal(at('journal')))).to.be.instanceOf(IntegrityError);
  });
});
