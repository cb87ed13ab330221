import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** nobody and nogroup, as on every Debian system; the daemon runs as them when the tests run as root. */
const NOBODY = { uid: 65_534, gid: 65_534 };
const PACKAGES = 'apt-get install libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils util-linux';
const START_TIMEOUT_MS = 20_000;

/** How a daemon is started and reached. */
export interface DaemonKind {
  readonly mode: 'session' | 'system';
  readonly socket: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly command: readonly string[];
  /** Who it runs as, unless it is who runs the tests. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  /** Where it writes down the pids of its QEMUs. */
  readonly pidFolder: string;
  /** A file of `/proc/PID` in which a QEMU of this daemon, and of no other, has the name of its directory. */
  readonly proof: string;
}

/** A libvirtd of its own, under a directory of its own. Several can run side by side, one per "host". */
export class PrivateLibvirtd {
  /** Reached only through this URI. */
  readonly uri: string;
  /** Its directory; everything it writes is below. */
  readonly root: string;
  readonly #kind: DaemonKind;
  #daemon: ChildProcess | undefined;

  constructor(root: string, kind: DaemonKind) {
    this.root = root;
    this.#kind = kind;
    this.uri = `qemu+unix:///${kind.mode}?socket=${kind.socket}`;
  }

  get pid(): number {
    if (this.#daemon?.pid === undefined) throw new Error('the private libvirtd does not run');
    return this.#daemon.pid;
  }

  /** A fresh directory that the daemon may use as a pool's target. */
  async poolDir(name: string): Promise<string> {
    const path = join(this.root, name);
    await mkdir(path, { recursive: true });
    await this.give(path);
    return path;
  }

  /** Hands a file or directory over to the daemon's user. */
  async give(path: string): Promise<void> {
    const { user } = this.#kind;
    if (user !== undefined) await chown(path, user.uid, user.gid);
  }

  /** What virsh prints for this daemon. */
  async virsh(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('virsh', ['-q', '-c', this.uri, ...args], { env: this.#kind.environment });
    return stdout;
  }

  async start(): Promise<void> {
    const log = openSync(join(this.root, 'libvirtd.log'), 'a');
    const [command = '', ...args] = this.#kind.command;
    const daemon = spawn(command, args, { env: this.#kind.environment, cwd: this.root, stdio: ['ignore', log, log] });
    closeSync(log);
    this.#daemon = daemon;
    const failed = once(daemon, 'error').then(([error]) => Promise.reject(error));
    const exited = once(daemon, 'exit').then(() => Promise.reject(new Error('it exited at once')));
    try {
      await Promise.race([this.#answers(), failed, exited]);
    } catch (cause) {
      throw await this.#startError(cause);
    }
  }

  /** Ends the daemon at once, as a crash would; its domains go on. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Starts the daemon anew on the same directory; it finds its pools and domains again. */
  async restart(): Promise<void> {
    await this.#end('SIGTERM');
    await this.start();
  }

  /** Ends the daemon and every QEMU it started, by pid, and removes the directory. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    for (const pid of await this.#qemuPids()) await endProcess(pid);
    await rm(this.root, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const exit = once(daemon, 'exit');
    daemon.kill(signal);
    await exit;
  }

  /** Resolves when the socket accepts connections. */
  async #answers(): Promise<void> {
    const until = Date.now() + START_TIMEOUT_MS;
    while (!(await accepts(this.#kind.socket))) {
      if (Date.now() > until) throw new Error(`${this.#kind.socket} accepts no connections`);
      await delay(10);
    }
  }

  async #startError(cause: unknown): Promise<Error> {
    const log = await readFile(join(this.root, 'libvirtd.log'), 'utf8');
    await this.stop();
    return new Error(`cannot start a private libvirtd; if packages are missing: ${PACKAGES}\n${log}`, { cause });
  }

  /** A pid file may be older than the process that has the number now. */
  async #qemuPids(): Promise<number[]> {
    const folder = this.#kind.pidFolder;
    const names = await readdir(folder).catch(() => []);
    const pids = [];
    for (const name of names.filter((file) => file.endsWith('.pid'))) {
      const pid = (await readFile(join(folder, name), 'utf8')).trim();
      const found = await readFile(`/proc/${pid}/${this.#kind.proof}`, 'utf8').catch(() => '');
      if (found.includes(basename(this.root))) pids.push(Number(pid));
    }
    return pids;
  }
}

/**
 * Starts a daemon; `stop` it in an `after` hook.
 *
 * @param inside makes a command that runs the daemon, given its directory: it is followed by the words of the daemon.
 */
export async function startPrivateLibvirtd(
  inside: (root: string) => readonly string[] = () => [],
): Promise<PrivateLibvirtd> {
  const root = await mkdtemp(join(tmpdir(), 'pk-'));
  const libvirtd = new PrivateLibvirtd(root, sessionDaemon(root, inside(root)));
  await chmod(root, 0o755);
  await libvirtd.give(root);
  for (const folder of ['run', 'config', 'config/libvirt', 'cache', 'data']) {
    await mkdir(join(root, folder), { mode: 0o700 });
    await libvirtd.give(join(root, folder));
  }
  await shareCapabilities(libvirtd);
  // Otherwise a virtlogd is started that nobody ends.
  await writeFile(join(root, 'config/libvirt/qemu.conf'), 'stdio_handler = "file"\n');
  await libvirtd.start();
  return libvirtd;
}

/**
 * Lets all private daemons of a user remember what QEMU can do in one place: libvirt needs two seconds to find out, for
 * the first domain of every fresh cache. libvirt checks by itself that what it remembers still holds.
 */
async function shareCapabilities(libvirtd: PrivateLibvirtd): Promise<void> {
  const shared = join(tmpdir(), `poolkeeper-test-qemu-capabilities-${isRoot() ? NOBODY.uid : process.getuid?.()}`);
  await mkdir(shared, { recursive: true, mode: 0o700 });
  await libvirtd.give(shared);
  for (const folder of ['cache/libvirt', 'cache/libvirt/qemu', 'cache/libvirt/qemu/cache']) {
    await mkdir(join(libvirtd.root, folder));
    await libvirtd.give(join(libvirtd.root, folder));
  }
  await symlink(shared, join(libvirtd.root, 'cache/libvirt/qemu/cache/capabilities'));
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** @param inside a command that runs the daemon, for example in a namespace of its own. */
function sessionDaemon(root: string, inside: readonly string[]): DaemonKind {
  const { uid, gid } = NOBODY;
  const asUser = isRoot() ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : [];
  return {
    mode: 'session',
    socket: join(root, 'run/libvirt/libvirt-sock'),
    environment: {
      PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: root,
      XDG_RUNTIME_DIR: join(root, 'run'),
      XDG_CONFIG_HOME: join(root, 'config'),
      XDG_CACHE_HOME: join(root, 'cache'),
      XDG_DATA_HOME: join(root, 'data'),
    },
    command: [...inside, ...asUser, 'libvirtd'],
    user: isRoot() ? NOBODY : undefined,
    pidFolder: join(root, 'run/libvirt/qemu/run'),
    proof: 'cmdline',
  };
}

async function accepts(socketPath: string): Promise<boolean> {
  const socket = connect(socketPath);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Ends a process that is not our child and waits until it is gone. */
async function endProcess(pid: number): Promise<void> {
  const ends = (signal: NodeJS.Signals | 0): boolean => {
    try {
      return process.kill(pid, signal);
    } catch {
      return false;
    }
  };
  if (!ends('SIGKILL')) return;
  while (ends(0) && !(await isZombie(pid))) await delay(5);
}

/** Nobody may be there to reap it, as in a container whose init does not. */
async function isZombie(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
  return status.slice(status.lastIndexOf(')')).startsWith(') Z');
}
