import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { encodeMetadataName } from '../../src/core/identity.ts';
import { isTrashFolder } from '../../src/core/trash.ts';
import { type GpgHome, type GpgKey, openGpgHome } from './gpg.ts';
import { type HttpServer, startHttpServer } from './http-server.ts';
import { type PrivateLibvirtd, startPrivateLibvirtd } from './private-libvirtd.ts';
import { createQcow2, domainXml, type DomainDisk, qemuIo } from './qemu.ts';
import { buildStream, productName, type ProductPlan, writeDocument } from './stream-builder.ts';

/** The program as it is installed. */
export const PROGRAM = fileURLToPath(new URL('../../../bin/poolkeeper.js', import.meta.url));

/** How a run of the program ended. */
export interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Everything that one administrator's host consists of: a private libvirtd, a signed stream on loopback HTTP, and
 * poolkeeper's own directories. One for a test file; `stop` it in an `after` hook.
 */
export class World {
  readonly libvirtd: PrivateLibvirtd;
  readonly server: HttpServer;
  readonly key: GpgKey;
  /** Its directory, apart from the daemon's. */
  readonly root: string;
  readonly #gpg: GpgHome;

  private constructor(parts: {
    libvirtd: PrivateLibvirtd;
    server: HttpServer;
    gpg: GpgHome;
    key: GpgKey;
    root: string;
  }) {
    this.libvirtd = parts.libvirtd;
    this.server = parts.server;
    this.#gpg = parts.gpg;
    this.key = parts.key;
    this.root = parts.root;
  }

  /** With a session daemon, unless `startLibvirtd` starts another one. */
  static async start(startLibvirtd: () => Promise<PrivateLibvirtd> = startPrivateLibvirtd): Promise<World> {
    const root = await mkdtemp(join(tmpdir(), 'pk-world-'));
    await mkdir(join(root, 'mirror'));
    const gpg = await openGpgHome();
    const key = await gpg.createKey({ userId: 'Sample Cloud Image Builder' });
    await writeFile(join(root, 'keyring.gpg'), await gpg.exportKeys([key]));
    const [libvirtd, server] = await Promise.all([startLibvirtd(), startHttpServer(join(root, 'mirror'))]);
    return new World({ libvirtd, server, gpg, key, root });
  }

  async stop(): Promise<void> {
    await this.server.stop();
    await this.libvirtd.stop();
    await this.#gpg.close();
    await rm(this.root, { recursive: true, force: true });
  }

  get mirror(): string {
    return join(this.root, 'mirror');
  }

  get metadata(): string {
    return join(this.root, 'metadata');
  }

  get poolPath(): string {
    return join(this.libvirtd.root, 'images');
  }

  get keyring(): string {
    return join(this.root, 'keyring.gpg');
  }

  /** The words that start a command of this host, for tests that bring their own terminal. */
  commandLine(args: readonly string[]): readonly string[] {
    return [process.execPath, PROGRAM, ...this.options, ...args];
  }

  /** Options that every command of this host is run with, unless the test says otherwise. */
  get options(): readonly string[] {
    return [
      '--connect',
      this.libvirtd.uri,
      '--state-dir',
      join(this.root, 'state'),
      '--cache-dir',
      join(this.root, 'cache'),
      '--metadata-dir',
      this.metadata,
    ];
  }

  /** A configuration file that says what `options` say, with the host's own stream as source `ubuntu`. */
  configuration(sourceLines: readonly string[] = []): string {
    return [
      `connect: ${this.libvirtd.uri}`,
      `state-dir: ${this.root}/state`,
      `cache-dir: ${this.root}/cache`,
      `metadata-dir: ${this.metadata}`,
      'sources:',
      '  ubuntu:',
      ...[`url: ${this.server.url}`, `keyring: ${this.keyring}`, ...sourceLines].map((line) => `    ${line}`),
      '',
    ].join('\n');
  }

  /** Publishes products, in place of what was published before. */
  async publish(products: readonly ProductPlan[], updated = new Date()): Promise<void> {
    await buildStream(this.mirror, { products, signer: this.key, updated });
  }

  /** Publishes versions of one release for amd64, each with an image of its own. */
  async publishRelease(release: string, ...serials: readonly string[]): Promise<void> {
    await this.publish([await this.release(release, ...serials)]);
  }

  /** Publishes one version after the other and fetches each, so that the pool holds them all. */
  async holdVersions(release: string, serials: readonly string[]): Promise<void> {
    for (const serial of serials) {
      await this.publishRelease(release, serial);
      await this.sync('--keep-versions', '9');
    }
  }

  /** A product with versions that have an image of their own. */
  async release(release: string, ...serials: readonly string[]): Promise<ProductPlan> {
    const versions = [];
    for (const serial of serials) versions.push({ serial, image: await this.image(`${release}-${serial}`) });
    return { release, arch: 'amd64', versions };
  }

  /** Changes a published document, `index.json` or `<content_id>.json`, and signs it anew. */
  async amend(name: string, change: (document: StreamDocument) => void): Promise<void> {
    const path = `streams/v1/${name}`;
    const plain = JSON.parse(await readFile(join(this.mirror, path), 'utf8')) as StreamDocument;
    change(plain);
    const signed = JSON.parse(JSON.stringify(plain).replaceAll(/("path":"streams[^"]*)\.json"/g, '$1.sjson"'));
    await writeDocument(this.mirror, path, { plain, signed, signer: this.key });
  }

  /** Changes the `disk1.img` of one published version, for amd64. */
  async amendItem(release: string, serial: string, change: (item: Record<string, unknown>) => void): Promise<void> {
    await this.amend(PRODUCTS, ({ products }) => {
      const item = products?.[productName({ release })]?.versions[serial]?.items['disk1.img'];
      if (item === undefined) throw new Error(`${release} ${serial} is not published`);
      change(item);
    });
  }

  /** Removes all domains, empties pool, mirror and poolkeeper's directories, and lets the server work well again. */
  async reset(): Promise<void> {
    this.server.clearFaults();
    const domains = await this.libvirtd.virsh('list', '--all', '--name');
    for (const name of domains.split('\n').filter((line) => line !== '')) await this.libvirtd.virsh('undefine', name);
    for (const dir of [this.mirror, this.metadata, join(this.root, 'state'), join(this.root, 'cache')]) {
      await rm(dir, { recursive: true, force: true });
    }
    await this.dropTrash();
    for (const name of await readdir(this.poolPath)) await rm(join(this.poolPath, name), { recursive: true });
    await this.libvirtd.virsh('pool-refresh', 'uvtool');
  }

  /** Removes what deletions left beside the pool. */
  async dropTrash(): Promise<void> {
    for (const name of (await readdir(this.libvirtd.root)).filter(isTrashFolder))
      await rm(join(this.libvirtd.root, name), { recursive: true });
  }

  /** The trash of the pool as `list --trash` tells of it, the oldest first. */
  async trash(...options: readonly string[]): Promise<readonly Record<string, string>[]> {
    const { stdout } = await this.poolkeeper('list', '--trash', '--json', ...options);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, string>);
  }

  /** Defines a domain that is not running. */
  async define(name: string, ...disks: readonly DomainDisk[]): Promise<void> {
    const path = join(this.root, `${name}.xml`);
    await writeFile(path, domainXml({ name, disks }));
    await this.libvirtd.virsh('define', path);
  }

  /** How many times image bytes were asked for from the `since`-th request on. */
  imageRequests(since = 0): number {
    return this.server.requests.slice(since).filter(({ path }) => path.endsWith('.img')).length;
  }

  /** Everything that lasts on this host but the cache and the notes of when runs ended: every file of pool, metadata and state, with size and time. */
  async tree(): Promise<Readonly<Record<string, string>>> {
    const dirs = [this.poolPath, this.metadata, join(this.root, 'state')];
    const trees = Object.assign({}, ...(await Promise.all(dirs.map(treeOf)))) as Record<string, string>;
    const notes = join(this.root, 'state/runs');
    return Object.fromEntries(Object.entries(trees).filter(([path]) => !path.startsWith(notes)));
  }

  /** Makes a qcow2 image with content of its own, and returns its path. */
  async image(name: string, sizeBytes = 2 ** 20): Promise<string> {
    const path = join(this.root, `${name}.img`);
    await createQcow2(path, { sizeBytes: Math.max(sizeBytes, 65_536) });
    const pattern = Buffer.from(name).reduce((sum, byte) => (sum * 31 + byte) % 255, 7) + 1;
    await qemuIo(path, `write -P ${pattern} 0 ${sizeBytes}`);
    return path;
  }

  /** Defines and starts the pool by way of libvirt, as an administrator might have. */
  async createPool(name = 'uvtool'): Promise<void> {
    await mkdir(this.poolPath, { recursive: true });
    await this.libvirtd.give(this.poolPath);
    await this.libvirtd.virsh('pool-define-as', name, 'dir', '--target', this.poolPath);
    await this.libvirtd.virsh('pool-start', name);
  }

  /** Runs the program with the host's options. */
  async poolkeeper(...args: readonly string[]): Promise<Run> {
    return runProgram([...this.options, ...args], this.root);
  }

  /** `sync` from the host's own stream, deleting what is unused at once. */
  async sync(...args: readonly string[]): Promise<Run> {
    return this.startSync(...args).ended;
  }

  /** As `sync`, without waiting for its end. */
  startSync(...args: readonly string[]): RunningProgram {
    const source = ['--source', this.server.url, '--keyring', this.keyring];
    const periods = ['--grace', '0', '--min-age', '0'];
    return startProgram(['sync', ...source, ...periods, ...this.options, ...args], this.root);
  }

  /** The names of the volumes in the pool, as libvirt lists them after a refresh. */
  async volumes(pool = 'uvtool'): Promise<readonly string[]> {
    await this.libvirtd.virsh('pool-refresh', pool);
    const list = await this.libvirtd.virsh('vol-list', pool);
    return list
      .split('\n')
      .flatMap((line) => line.trim().split(/\s{2,}/)[0] ?? [])
      .filter((name) => name !== '')
      .sort();
  }

  /** The name of the volume of one version. */
  volumeName(release: string, serial: string): string {
    return encodeMetadataName({ product: productName({ release, arch: 'amd64' }), version: serial });
  }

  /** The path of the volume of one version. */
  volumePath(release: string, serial: string): string {
    return join(this.poolPath, this.volumeName(release, serial));
  }

  /** A metadata file, parsed. */
  async metadataOf(release: string, serial: string): Promise<unknown> {
    return JSON.parse(await readFile(join(this.metadata, this.volumeName(release, serial)), 'utf8'));
  }
}

/** The products document that `publish` writes. */
export const PRODUCTS = 'com.ubuntu.cloud:released:download.json';

/** A published document, as far as tests change it. */
export interface StreamDocument {
  [key: string]: unknown;
  index?: Record<string, Record<string, unknown>>;
  products?: Record<string, StreamProduct>;
}

interface StreamProduct {
  [tag: string]: unknown;
  versions: Record<string, { [tag: string]: unknown; items: Record<string, Record<string, unknown>> }>;
}

async function treeOf(path: string): Promise<Record<string, string>> {
  const status = await lstat(path).catch(() => undefined);
  if (status === undefined) return {};
  const own = { [path]: `${status.mode.toString(8)} ${status.size} ${status.mtimeMs}` };
  if (!status.isDirectory()) return own;
  const names = (await readdir(path)).sort();
  return Object.assign(own, ...(await Promise.all(names.map((name) => treeOf(join(path, name))))));
}

/** What a run printed, without the date on which the trash lets go of what was deleted. */
export function dateless(run: Run): Run {
  return { ...run, stdout: run.stdout.replaceAll(/ on \d{4}-\d\d-\d\d\b/g, ' on DATE') };
}

/** Coverage counts the compiled files, not the bundle that is started here; and each process would leave two MB of it. */
export const UNCOVERED = { NODE_V8_COVERAGE: '' };

/** Runs the program as it is installed; never rejects because of its exit status. */
export function runProgram(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<Run> {
  return startProgram(args, cwd, env).ended;
}

/** Runs the program as somebody without rights, if this process has any. */
export function runAsStranger(args: readonly string[], cwd: string): Promise<Run> {
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? ['setpriv', '--reuid=65533', '--regid=65533', '--clear-groups'] : [];
  const [command = '', ...words] = [...user, process.execPath, PROGRAM, ...args];
  const env = { PATH: process.env['PATH'], HOME: cwd, POOLKEEPER_CONFIG: '/dev/null', ...UNCOVERED };
  return endOf(spawn(command, words, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** A run of the program that is not over yet. */
export interface RunningProgram {
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Run>;
}

/** Starts the program as it is installed. A run that a signal ended has status -1. */
export function startProgram(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): RunningProgram {
  return startWords([process.execPath, PROGRAM, ...args], cwd, env);
}

/** As `startProgram`, by the words of a command line, such as `World.commandLine` has. */
export function startWords(words: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): RunningProgram {
  // What the administrator of this machine configured is none of the test's business.
  const own = { HOME: cwd, NO_COLOR: '1', POOLKEEPER_CONFIG: '/dev/null', ...UNCOVERED };
  const environment = { PATH: process.env['PATH'], ...own, ...env };
  const [command = '', ...args] = words;
  const child = spawn(command, args, { cwd, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  return { kill: (signal) => child.kill(signal), ended: endOf(child) };
}

async function endOf(child: ChildProcessByStdio<null, Readable, Readable>): Promise<Run> {
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { status: typeof status === 'number' ? status : -1, stdout, stderr };
}
