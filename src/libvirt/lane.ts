import { LibvirtError, NoSpaceError, type PoolkeeperError } from '../errors.ts';
import { hintFor, isConnectionLost, VIR_ERR } from './error-codes.ts';
import type { ConnectHandle, Native, NativeError } from './signatures.ts';

/**
 * One libvirt connection with at most one call in flight, so that the error libvirt keeps for the connection is always
 * that of the call just made. Calls made meanwhile wait for their turn.
 */
export class Lane {
  readonly native: Native;
  readonly handle: ConnectHandle;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #isBroken = false;

  constructor(native: Native, handle: ConnectHandle) {
    this.native = native;
    this.handle = handle;
  }

  /** Whether libvirtd went away: no call will succeed any more. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /**
   * Makes one native call. `what` completes the sentence `cannot …` when it fails.
   *
   * @throws LibvirtError when libvirt reports a failure, or when the connection was closed; NoSpaceError when the host's
   * storage is full.
   */
  call<A extends readonly unknown[], R>(
    what: string,
    native: (...args: A) => Promise<R>,
    ...args: A
  ): Promise<NonNullable<R>> {
    const result = this.#last.then(() => this.#callNow(what, native, args));
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Closes the connection after the call in flight; later calls fail. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#last;
    await this.native.connectClose(this.handle);
  }

  async #callNow<A extends readonly unknown[], R>(
    what: string,
    native: (...args: A) => Promise<R>,
    args: A,
  ): Promise<NonNullable<R>> {
    if (this.#isClosed) throw new LibvirtError(`cannot ${what}: the connection is closed`);
    assertNoNul(what, args);
    this.native.connResetLastError(this.handle);
    const result = await native(...args);
    if (result === null || result === undefined || (typeof result === 'number' && result < 0)) {
      const error = callError(what, this.native.connGetLastError(this.handle));
      this.#isBroken ||= isConnectionLost(error);
      throw error;
    }
    return result;
  }
}

/** ENOSPC and EDQUOT of Linux, on whose hosts libvirt's storage is. */
const NO_SPACE: ReadonlySet<number> = new Set([28, 122]);

/** What to throw for a failed call: a LibvirtError, or a NoSpaceError caused by one when the storage is full. */
export function callError(what: string, error: NativeError | undefined): PoolkeeperError {
  const cause = libvirtError(what, error);
  if (cause.virErrorNumber !== VIR_ERR.systemError || !NO_SPACE.has(error?.int1 ?? 0)) return cause;
  return new NoSpaceError(cause.message, { cause, hint: 'free some space where the storage pool is' });
}

/** An error that says `cannot <what>: <libvirt's message>` and keeps libvirt's numbers. */
export function libvirtError(what: string, error: NativeError | undefined): LibvirtError {
  const virErrorNumber = error?.code ?? 0;
  const virErrorDomain = error?.domain ?? 0;
  const hint = hintFor(virErrorNumber, virErrorDomain, error?.int1);
  return new LibvirtError(`cannot ${what}: ${error?.message ?? 'libvirt gives no reason'}`, {
    virErrorNumber,
    virErrorDomain,
    ...(hint !== undefined && { hint }),
  });
}

/** A C string ends at its first NUL: `a\0b` would silently become `a`. */
function assertNoNul(what: string, args: readonly unknown[]): void {
  if (args.some((argument) => typeof argument === 'string' && argument.includes('\0'))) {
    throw new LibvirtError(`cannot ${what}: a name, path or document must not contain a NUL character`);
  }
}
