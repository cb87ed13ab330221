import { randomBytes } from 'node:crypto';
import {
  accessSync,
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants as system } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type FolderIdentity, parseEntryId, trashFolderName } from '../core/trash.ts';
import { asFileUser, askOpen, KernelError, type OpenAnswer, renameNoReplace } from '../util/kernel.ts';
import { errnoCode } from '../util/errno.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
const { errno } = system;

/** Nobody but the owner of the pool's folder can open by name what lies in the trash. */
const PLACE_MODE = 0o700;

/** How often, and how far apart, the kernel is asked before a file counts as held: others open files for a moment only. */
const ASKS = 3;
const ASK_DELAY_MS = 300;

/** What the kernel says when a file cannot be moved to a place, although it could be moved elsewhere. */
const OTHER_PLACE: ReadonlySet<string> = new Set(['EXDEV', 'EDQUOT', 'ENOSPC', 'EACCES', 'EPERM', 'EROFS', 'EMLINK']);

/** How the trash of a pool is to be used. */
export interface TrashOptions {
  readonly poolUuid: string;
  /** Whether it may lie in the pool's folder where it cannot lie beside it: not where uvtool writes too. */
  readonly mayLieInside: boolean;
  /** The effective user of this process: root does as the owner of the folder. */
  readonly euid: number;
}

/** The identity of a folder; `undefined` when it cannot be looked at. */
export function folderIdentity(path: string | undefined): FolderIdentity | undefined {
  try {
    return path === undefined ? undefined : identityOf(statSync(path, { bigint: true }));
  } catch {
    return undefined;
  }
}

/** Whether two looks saw the same folder. */
export function isSameFolder(a: FolderIdentity | undefined, b: FolderIdentity | undefined): boolean {
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/**
 * The folder of a pool and its trash on the same file system, open for as long as files move between them. Every name is looked up
 * from an open folder, links are not followed, nothing is ever put over a file, and where the pool's folder belongs to
 * another user, root moves and removes files with that user's rights.
 */
export class PoolTrash implements Disposable {
  /** The pool's folder, with links resolved. */
  readonly home: string;
  readonly identity: FolderIdentity;
  readonly #home: number;
  readonly #owner: { readonly uid: number; readonly gid: number };
  readonly #options: TrashOptions;
  readonly #open = new Map<string, number>();

  private constructor(home: number, options: TrashOptions) {
    const stat = fstatSync(home, { bigint: true });
    this.#home = home;
    this.#options = options;
    this.#owner = { uid: Number(stat.uid), gid: Number(stat.gid) };
    this.identity = identityOf(stat);
    this.home = readlinkSync(throughProc(home));
  }

  /** @throws the system's error when the folder cannot be opened. */
  static open(folder: string, options: TrashOptions): PoolTrash {
    const home = openSync(folder, O_RDONLY | O_DIRECTORY);
    try {
      return new PoolTrash(home, options);
    } catch (error) {
      closeSync(home);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
    closeSync(this.#home);
  }

  /** Where the trash may lie: beside the folder, else in it. */
  get places(): readonly string[] {
    const name = trashFolderName(this.#options.poolUuid);
    const inside = this.#options.mayLieInside ? [join(this.home, name)] : [];
    return this.home === '/' ? inside : [join(dirname(this.home), name), ...inside];
  }

  /**
   * Makes one of the places ready. A place that is made now is tried with a file of our own, which goes there and comes back.
   *
   * @returns `undefined` where there can be no trash, or the code why.
   */
  prepare(place: string): string | undefined {
    try {
      if (this.#isOurs(place)) return undefined;
      const above = openSync(dirname(place), O_RDONLY | O_DIRECTORY);
      try {
        this.#asOwner(() => mkdirSync(join(throughProc(above), basename(place)), { mode: PLACE_MODE }));
        fsyncSync(above);
      } finally {
        closeSync(above);
      }
      const refusal = this.#isOurs(place) ? this.#tryPlace(place) : 'EEXIST';
      if (refusal !== undefined) this.#asOwner(() => rmdirSync(place));
      return refusal;
    } catch (error) {
      return codeOf(error);
    }
  }

  /** Why a place cannot be made ready, by the code of the kernel, as far as that can be told without trying. */
  foresee(place: string): string | undefined {
    if (this.hasPlace(place)) return undefined;
    try {
      const above = statSync(dirname(place), { bigint: true });
      if (lstatSync(place, { throwIfNoEntry: false }) !== undefined) return 'EEXIST';
      if (above.dev !== this.identity.dev) return 'EXDEV';
      accessSync(dirname(place), constants.W_OK | constants.X_OK);
      return this.#mayOwnerWrite(above) ? undefined : 'EACCES';
    } catch (error) {
      return codeOf(error);
    }
  }

  /** Whether a place is there and can be trusted. */
  hasPlace(place: string): boolean {
    try {
      return this.#isOurs(place) && this.#placeFd(place) >= 0;
    } catch (error) {
      codeOf(error);
      return false;
    }
  }

  /** What the pool's folder has under a name; `undefined` for nothing. */
  look(name: string): BigIntStats | undefined {
    return lookAt(this.#home, name);
  }

  /** What an entry holds; `undefined` for nothing, also where the place cannot be opened. @throws EACCES where it may not be. */
  lookIn(place: string, id: string, name: string): BigIntStats | undefined {
    return this.#inEntry(place, id, (dir) => lookAt(dir, name));
  }

  /** Path of a file in an entry, as long as this is open. */
  pathIn(place: string, id: string, name: string): string {
    return join(throughProc(this.#placeFd(place)), id, name);
  }

  /**
   * Moves a file of the pool's folder into an entry of its own.
   *
   * @returns `moved`, or the code of the kernel that speaks against this place.
   * @throws KernelError for what speaks against the file: it is gone, for instance.
   */
  throwAway(name: string, place: string, id: string): 'moved' | { readonly refused: string } {
    const fd = this.#placeFd(place);
    try {
      this.#asOwner(() => mkdirSync(join(throughProc(fd), id), { mode: PLACE_MODE }));
      fsyncSync(fd);
      this.#inEntry(place, id, (dir) => this.#asOwner(() => renameNoReplace({ dir: this.#home, name }, { dir, name })));
    } catch (error) {
      this.#removeEmpty(place, id);
      const code = codeOf(error);
      if (OTHER_PLACE.has(code)) return { refused: code };
      throw error;
    }
    this.#inEntry(place, id, (dir) => fsyncSync(dir));
    fsyncSync(this.#home);
    return 'moved';
  }

  /**
   * Moves a file back under its former name, unless something lies there.
   *
   * @throws KernelError, EEXIST for that.
   */
  bringBack(place: string, id: string, name: string): void {
    this.#inEntry(place, id, (dir) => {
      this.#asOwner(() => renameNoReplace({ dir, name }, { dir: this.#home, name }));
      fsyncSync(dir);
    });
    fsyncSync(this.#home);
    this.#removeEmpty(place, id);
  }

  /** Removes a file of an entry for good, and the entry. */
  unlink(place: string, id: string, name: string): void {
    this.#inEntry(place, id, (dir) => this.#asOwner(() => unlinkSync(join(throughProc(dir), name))));
    this.#removeEmpty(place, id);
  }

  /** Removes the folder of an entry in which nothing lies. */
  tidy(place: string, id: string): void {
    this.#removeEmpty(place, id);
  }

  /** The entries that lie in a place, each with the names in it. None where there is no such place. */
  list(place: string): readonly { readonly id: string; readonly names: readonly string[] }[] {
    if (!this.hasPlace(place)) return [];
    const fd = throughProc(this.#placeFd(place));
    return readdirSync(fd)
      .filter((id) => parseEntryId(id) !== undefined)
      .sort()
      .map((id) => ({ id, names: namesIn(join(fd, id)) }));
  }

  /** The space on the file system of a place. */
  space(place: string): { readonly freeBytes: bigint; readonly totalBytes: bigint } {
    const { bavail, blocks, bsize } = statfsSync(throughProc(this.#placeFd(place)), { bigint: true });
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  }

  /** @throws EEXIST for something else by that name. */
  #isOurs(place: string): boolean {
    const stat = lstatSync(place, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return false;
    const isOwned = Number(stat.uid) === this.#owner.uid || Number(stat.uid) === this.#options.euid;
    if (stat.isDirectory() && isOwned && (Number(stat.mode) & 0o022) === 0) return true;
    throw new KernelError('lstat', errno.EEXIST);
  }

  #placeFd(place: string): number {
    const known = this.#open.get(place);
    if (known !== undefined) return known;
    const fd = openSync(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    this.#open.set(place, fd);
    return fd;
  }

  #inEntry<T>(place: string, id: string, act: (dir: number) => T): T {
    const path = join(throughProc(this.#placeFd(place)), id);
    const dir = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      return act(dir);
    } finally {
      closeSync(dir);
    }
  }

  #removeEmpty(place: string, id: string): void {
    try {
      const fd = this.#placeFd(place);
      this.#asOwner(() => rmdirSync(join(throughProc(fd), id)));
    } catch (error) {
      if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(codeOf(error))) throw error;
    }
  }

  /** Moves a file of our own to the pool's folder and back, which quotas and subvolumes can refuse in either direction. */
  #tryPlace(place: string): string | undefined {
    const name = `.poolkeeper-trial-${randomBytes(8).toString('hex')}`;
    const dir = this.#placeFd(place);
    let refusal: string | undefined;
    try {
      this.#asOwner(() => {
        writeFileSync(join(throughProc(dir), name), '', { flag: 'wx', mode: 0o600 });
        renameNoReplace({ dir, name }, { dir: this.#home, name });
        renameNoReplace({ dir: this.#home, name }, { dir, name });
      });
    } catch (error) {
      refusal = codeOf(error);
    }
    for (const folder of [this.#home, dir])
      this.#asOwner(() => rmSync(join(throughProc(folder), name), { force: true }));
    return refusal;
  }

  #mayOwnerWrite({ uid, gid, mode }: BigIntStats): boolean {
    if (!this.#isOther) return true;
    const shift = Number(uid) === this.#owner.uid ? 6n : Number(gid) === this.#owner.gid ? 3n : 0n;
    return ((mode >> shift) & 0o3n) === 0o3n;
  }

  /** Whether root does things here as somebody else. */
  get #isOther(): boolean {
    return this.#options.euid === 0 && this.#owner.uid !== 0;
  }

  #asOwner<T>(act: () => T): T {
    return this.#isOther ? asFileUser(this.#owner, act) : act();
  }
}

/**
 * Asks whether anybody has a file open, three times within a second before it counts as held.
 *
 * @param target for a link the file that it leads to: whoever opened the link holds that file.
 */
export function askPatiently(target: string): Promise<OpenAnswer> {
  return patiently(() => ask(target));
}

/** Asks until the answer is not `held`, three times within a second. */
export async function patiently(question: () => OpenAnswer): Promise<OpenAnswer> {
  for (let asked = 1; ; asked += 1) {
    const answer = question();
    if (answer.is !== 'held' || asked === ASKS) return answer;
    await delay(ASK_DELAY_MS);
  }
}

/** The file that a link leads to, by its real path; the path itself of everything else, and of a link that leads nowhere. */
export function behindLink(path: string): string {
  try {
    return lstatSync(path).isSymbolicLink() ? realpathSync(path) : path;
  } catch {
    return path;
  }
}

function ask(target: string): OpenAnswer {
  try {
    return askOpen(target, 'write');
  } catch (error) {
    const code = codeOf(error);
    // Somebody opened it with a lease of his own, or is executing it.
    if (code === 'EAGAIN' || code === 'EWOULDBLOCK' || code === 'ETXTBSY') return { is: 'held' };
    return { is: 'unknown', code };
  }
}

function lookAt(dir: number, name: string): BigIntStats | undefined {
  return lstatSync(join(throughProc(dir), name), { bigint: true, throwIfNoEntry: false });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function identityOf({ dev, ino }: BigIntStats): FolderIdentity {
  return { dev, ino };
}

/** A path that starts from an open folder, whatever its own path leads to by now (proc(5), `/proc/PID/fd`). */
function throughProc(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function codeOf(error: unknown): string {
  const code = errnoCode(error);
  if (code === undefined) throw error;
  return code;
}
