import { LibvirtError } from '../errors.ts';
import { Fifo } from './fifo.ts';
import { Lane, libvirtError } from './lane.ts';
import { loadNative } from './native.ts';
import type { Native } from './signatures.ts';

export interface ConnectionOptions {
  /** How many calls may be in flight at once, each on a connection of its own. More than four gained nothing. */
  readonly lanes?: number;
}

interface Waiter {
  resolve(lane: Lane): void;
  reject(error: LibvirtError): void;
}

/** A libvirt URI with as many lanes as are needed at once, up to a limit. Lanes that broke are replaced by new ones. */
export class Connection {
  /** As libvirt spells it, with the default filled in. */
  readonly uri: string;
  readonly #native: Native;
  readonly #requestedUri: string | undefined;
  readonly #limit: number;
  readonly #lanes = new Set<Lane>();
  readonly #idle: Lane[] = [];
  readonly #waiters = new Fifo<Waiter>();
  #closed: Promise<void> | undefined;
  #hostName: Promise<string> | undefined;

  private constructor(first: Lane, uri: string, requestedUri: string | undefined, lanes: number) {
    this.uri = uri;
    this.#native = first.native;
    this.#requestedUri = requestedUri;
    // Each connection to the test driver is a world of its own.
    this.#limit = uri.startsWith('test:') ? 1 : lanes;
    this.#lanes.add(first);
    this.#idle.push(first);
  }

  /**
   * Connects; blocks the event loop meanwhile, because libvirt keeps the reason of a failure per thread. Without `uri`
   * libvirt chooses, as virsh does.
   *
   * @throws LibvirtError when libvirt is missing, too old, or refuses.
   */
  static async open(uri: string | undefined, { lanes = 4 }: ConnectionOptions = {}): Promise<Connection> {
    const native = await loadNative();
    const first = openLane(native, uri);
    try {
      const actualUri = await first.call('read the connection URI', native.connectGetURI, first.handle);
      return new Connection(first, actualUri, uri, lanes);
    } catch (error) {
      await first.close();
      throw error;
    }
  }

  /**
   * The name of the host that the daemon runs on, as that host knows itself.
   *
   * @throws LibvirtError when the driver cannot tell.
   */
  hostName(): Promise<string> {
    this.#hostName ??= this.run((lane) =>
      lane.call('ask for the name of the host', lane.native.connectGetHostname, lane.handle),
    );
    return this.#hostName;
  }

  /** How many calls can be in flight at once. */
  get laneLimit(): number {
    return this.#limit;
  }

  /** Lends a lane to `use` until its promise settles; those who wait are served in the order they came. */
  async run<T>(use: (lane: Lane) => Promise<T>): Promise<T> {
    const lane = await this.acquire();
    try {
      return await use(lane);
    } finally {
      this.release(lane);
    }
  }

  /** Takes a lane that must be given back with `release`; prefer `run`. */
  async acquire(): Promise<Lane> {
    if (this.#closed !== undefined) throw this.#closedError();
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#lanes.size < this.#limit) return this.#addLane();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Gives back a lane that came from `acquire`; exactly once. */
  release(lane: Lane): void {
    if (lane.isBroken) this.#discard(lane);
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) this.#serve(waiter, lane);
    else if (!lane.isBroken) this.#idle.push(lane);
  }

  /** Closes every lane once its call in flight is over; whoever still holds or awaits a lane gets an error. */
  close(): Promise<void> {
    this.#closed ??= this.#closeLanes();
    return this.#closed;
  }

  async #closeLanes(): Promise<void> {
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      waiter.reject(this.#closedError());
    }
    await Promise.all([...this.#lanes].map((lane) => lane.close()));
  }

  #serve(waiter: Waiter, lane: Lane): void {
    try {
      waiter.resolve(lane.isBroken ? this.#addLane() : lane);
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error;
      waiter.reject(error);
    }
  }

  /** The daemon is gone or was restarted: the lanes that are idle are of no more use than the one that found out. */
  #discard(broken: Lane): void {
    for (const lane of [broken, ...this.#idle.splice(0)]) {
      this.#lanes.delete(lane);
      void lane.close();
    }
  }

  #addLane(): Lane {
    const lane = openLane(this.#native, this.#requestedUri);
    this.#lanes.add(lane);
    return lane;
  }

  #closedError(): LibvirtError {
    return new LibvirtError(`cannot use the connection to ${this.uri}: it is closed`);
  }
}

function openLane(native: Native, uri: string | undefined): Lane {
  const what = `connect to ${uri ?? 'the default libvirt URI'}`;
  if (uri?.includes('\0') === true) throw new LibvirtError(`cannot ${what}: the URI contains a NUL character`);
  const handle = native.connectOpen(uri ?? null);
  if (handle !== null) return new Lane(native, handle);
  throw libvirtError(what, native.lastError());
}
