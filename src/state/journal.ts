import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { JournalIntent, JournalNotes, OpenIntent } from '../core/journal.ts';
import { FailureError, NoSpaceError } from '../errors.ts';
import { readFileBounded, writeFileAtomic } from './atomic-file.ts';
import { fileError } from './file-error.ts';
import { decodeJournal, encodeLine, type JournalContent, type JournalEntry } from './journal-lines.ts';

/** Larger journals are damaged. */
export const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;
/** A journal in which something stays open for long is rewritten beyond this. */
const COMPACT_BYTES = 1024 * 1024;
const FILE_MODE = 0o640;
const HEADER = encodeLine({ type: 'format' });
const EMPTY: JournalContent = { open: new Map(), lastId: 0, wholeBytes: HEADER.length };

/**
 * Opens the journal of a pool for writing, and makes it if it is not there. What a crash tore at its end is cut off, and
 * it is emptied when nothing in it is open. What is done is dropped from one that has grown long. Only for the holder of the pool's lock.
 *
 * @throws IntegrityError naming file and line when it is damaged: it can be set aside; FailureError for a newer format.
 */
export async function openJournal(path: string): Promise<Journal> {
  const found = await readContent(path);
  if (found === undefined || found.wholeBytes === 0) await writeFileAtomic(path, HEADER, { mode: FILE_MODE });
  const content = found !== undefined && found.open.size > 0 ? await compact(path, found) : EMPTY;
  const handle = await openFile(path);
  try {
    // What stays is a beginning of what was there, so this is atomic, and needs no space on a disk that may be full.
    await handle.truncate(content.wholeBytes);
    await handle.datasync();
    return new Journal(path, handle, content);
  } catch (cause) {
    await handle.close();
    throw fileError(`cannot open journal '${path}'`, cause);
  }
}

/** Reads what is open in a journal and changes nothing; needs no lock. @throws as `openJournal` does. */
export async function readOpenIntents(path: string): Promise<readonly OpenIntent[]> {
  const content = await readContent(path);
  return [...(content?.open.values() ?? [])];
}

/** The notes of a run about what it is doing, for the run after a crash. Entries may be appended concurrently. */
export class Journal {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #open: Map<number, OpenIntent>;
  #lastId: number;
  #size: number;
  #isBroken = false;
  #lastTurn: Promise<unknown> = Promise.resolve();

  constructor(path: string, handle: FileHandle, content: JournalContent) {
    this.#path = path;
    this.#handle = handle;
    this.#open = new Map(content.open);
    this.#lastId = content.lastId;
    this.#size = content.wholeBytes;
  }

  /** Everything begun and not done, in the order of beginning. */
  openIntents(): readonly OpenIntent[] {
    return [...this.#open.values()];
  }

  /** Notes an intent and returns its id. The act may start once the promise resolves: the note is then durable. */
  async begin(intent: JournalIntent): Promise<number> {
    return await this.#inTurn(async () => {
      const id = this.#lastId + 1;
      await this.#append({ type: 'begin', id, intent }, true);
      this.#lastId = id;
      this.#open.set(id, { id, intent, notes: {} });
      return id;
    });
  }

  /**
   * Adds facts to an open intent; a later fact replaces an earlier one of the same name.
   *
   * @param isSynced whether the note is to be durable. A lost note on progress only costs a fresh download, and a sync per
   * note would cost time in every run.
   */
  async note(id: number, data: JournalNotes, isSynced = false): Promise<void> {
    await this.#inTurn(async () => {
      const known = this.#lookUp(id);
      await this.#append({ type: 'note', id, data }, isSynced);
      this.#open.set(id, { ...known, notes: { ...known.notes, ...data } });
    });
  }

  /** Closes an intent. Only for what is wholly and durably done. */
  async done(id: number): Promise<void> {
    await this.#inTurn(async () => {
      const { intent } = this.#lookUp(id);
      // A lost `done` is harmless where doing the same again is: then the next sync of the file is soon enough. A
      // deletion done again could hit a new volume that took the name.
      await this.#append({ type: 'done', id }, intent.kind === 'delete' || intent.kind === 'replace');
      this.#open.delete(id);
    });
  }

  /** Waits for appends under way and closes the file. */
  async close(): Promise<void> {
    await this.#lastTurn;
    await this.#handle.close();
  }

  #lookUp(id: number): OpenIntent {
    const known = this.#open.get(id);
    if (known === undefined) throw new Error(`intent ${id} is not open`);
    return known;
  }

  /** One entry at a time: lines never mix, and each is checked against all that stand before it. */
  async #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(task);
    this.#lastTurn = turn.catch(() => undefined);
    return await turn;
  }

  async #append(entry: JournalEntry, isSynced: boolean): Promise<void> {
    if (this.#isBroken) throw new FailureError(`cannot write journal '${this.#path}' after an earlier failure`);
    const line = encodeLine(entry);
    try {
      await this.#writeWhole(line);
      if (isSynced) await this.#handle.datasync();
      this.#size += line.length;
    } catch (cause) {
      await this.#cutBack();
      throw fileError(`cannot write journal '${this.#path}'`, cause);
    }
  }

  async #writeWhole(line: Buffer): Promise<void> {
    for (let written = 0; written < line.length;) {
      const { bytesWritten } = await this.#handle.write(line, written, undefined, this.#size + written);
      written += bytesWritten;
    }
  }

  /** Half a line must not stay before the next one. */
  async #cutBack(): Promise<void> {
    try {
      await this.#handle.truncate(this.#size);
    } catch {
      this.#isBroken = true;
    }
  }
}

/** On a full disk a long journal is better than none. */
async function compact(path: string, content: JournalContent): Promise<JournalContent> {
  if (content.wholeBytes <= COMPACT_BYTES) return content;
  const entries = [...content.open.values()].flatMap(({ id, intent, notes }) => [
    encodeLine({ type: 'begin', id, intent }),
    encodeLine({ type: 'note', id, data: notes }),
  ]);
  const bytes = Buffer.concat([HEADER, ...entries]);
  try {
    await writeFileAtomic(path, bytes, { mode: FILE_MODE });
    return decodeJournal(bytes, path);
  } catch (error) {
    if (error instanceof NoSpaceError) return content;
    throw error;
  }
}

async function readContent(path: string): Promise<JournalContent | undefined> {
  const file = await readFileBounded(path, MAX_JOURNAL_BYTES, { mayGrow: true });
  return file === undefined ? undefined : decodeJournal(file.bytes, path);
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (cause) {
    throw fileError(`cannot open journal '${path}'`, cause);
  }
}
