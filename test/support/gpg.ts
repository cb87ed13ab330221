import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A throw-away GnuPG home. Make as few as possible: each has its own agent. `close` stops it and removes the home. */
export interface GpgHome {
  /** Makes a signing key without passphrase. */
  createKey(options?: KeyOptions): Promise<GpgKey>;
  /** Adds a subkey; gpg signs with it from then on. */
  addSigningSubkey(key: GpgKey): Promise<void>;
  /** Public keys, in the order of gpg; binary unless `armor` is set. */
  exportKeys(keys: readonly GpgKey[], options?: { armor?: boolean }): Promise<Buffer>;
  /** The secret key, binary: for tests of what must not be accepted. */
  exportSecretKey(key: GpgKey): Promise<Buffer>;
  /** Signs with each key in turn; the result has one signature per key. */
  clearsign(text: string | Buffer, signing: SignOptions): Promise<Buffer>;
  /** A detached signature, armored unless told otherwise. */
  detachSign(data: string | Buffer, signing: SignOptions & { armor?: boolean }): Promise<Buffer>;
  /** A binary message that holds the data and its signatures. */
  inlineSign(data: string | Buffer, signing: SignOptions): Promise<Buffer>;
  /** Revokes a key in this home: what is exported from now on carries the revocation. */
  revoke(key: GpgKey): Promise<void>;
  /** Changes when a key expires, as of `--quick-set-expire`: `0` is never. */
  setExpiry(key: GpgKey, expire: string): Promise<void>;
  close(): Promise<void>;
}

export interface KeyOptions {
  /** As of `--quick-gen-key`. */
  readonly algo?: string;
  /** As of `--quick-gen-key`: `1y`, `2021-01-01`, `0` for never. */
  readonly expire?: string;
  /** When the key pretends to have been made. */
  readonly created?: Date;
  readonly userId?: string;
  /** Further gpg options, such as `--cert-digest-algo`. */
  readonly extra?: readonly string[];
}

export interface GpgKey {
  readonly home: GpgHome;
  /** Of the primary key, in upper-case hex. */
  readonly fingerprint: string;
}

export interface SignOptions {
  readonly keys: readonly GpgKey[];
  /** When the signature pretends to have been made. */
  readonly at?: Date;
  readonly extra?: readonly string[];
}

/** Opens a new, empty home. `gpg` must be installed. */
export async function openGpgHome(): Promise<GpgHome> {
  // The name is short: the agent's socket lies in it, and a socket's path has at most 107 bytes.
  const directory = await mkdtemp(join(tmpdir(), 'pk-gpg-'));
  const run = async (args: readonly string[], input: string | Buffer = ''): Promise<Buffer> =>
    await runTool('gpg', ['--homedir', directory, ...QUIET, ...args], input);
  const sign = async (args: readonly string[], data: string | Buffer, signing: SignOptions): Promise<Buffer> =>
    await run([...timeArgs(signing.at), ...userArgs(signing.keys), ...(signing.extra ?? []), ...args], data);
  const home: GpgHome = {
    createKey: async (options = {}) => ({ home, fingerprint: await createKey(run, options) }),
    addSigningSubkey: async ({ fingerprint }) =>
      void (await run(['--quick-add-key', fingerprint, 'ed25519', 'sign', '0'])),
    exportKeys: async (keys, { armor = false } = {}) =>
      await run([...(armor ? ['--armor'] : []), '--export', ...keys.map(({ fingerprint }) => fingerprint)]),
    exportSecretKey: async ({ fingerprint }) => await run(['--export-secret-keys', fingerprint]),
    clearsign: async (text, signing) => await sign(['--clearsign'], text, signing),
    detachSign: async (data, { armor = true, ...signing }) =>
      await sign([...(armor ? ['--armor'] : []), '--detach-sign'], data, signing),
    inlineSign: async (data, signing) => await sign(['--sign'], data, signing),
    revoke: async ({ fingerprint }) => {
      const path = join(directory, 'openpgp-revocs.d', `${fingerprint}.rev`);
      // gpg puts a colon before the armor so that nobody imports the certificate by mistake.
      await run(['--import'], (await readFile(path, 'latin1')).replace(':-----BEGIN', '-----BEGIN'));
    },
    setExpiry: async ({ fingerprint }, expire) => void (await run(['--quick-set-expire', fingerprint, expire])),
    close: async () => {
      await runTool('gpgconf', ['--homedir', directory, '--kill', 'all'], '');
      await rm(directory, { recursive: true, force: true });
    },
  };
  return home;
}

const QUIET = ['--batch', '--quiet', '--yes', '--no-tty', '--pinentry-mode', 'loopback', '--passphrase', ''];

async function createKey(run: (args: readonly string[]) => Promise<Buffer>, options: KeyOptions): Promise<string> {
  const { algo = 'ed25519', expire = '0', created, userId = 'Foocloud Streams <streams@foocloud.test>' } = options;
  const id = `${userId} ${Math.random()}`;
  const generate = ['--status-fd', '1', '--quick-gen-key', id, algo, 'sign,cert', expire];
  const status = await run([...timeArgs(created), ...(options.extra ?? []), ...generate]);
  const fingerprint = /KEY_CREATED \S+ ([0-9A-F]{40})/.exec(status.toString())?.[1];
  if (fingerprint === undefined) throw new Error(`gpg made no key: ${status.toString()}`);
  return fingerprint;
}

function timeArgs(at: Date | undefined): string[] {
  if (at === undefined) return [];
  const stamp = at.toISOString().replaceAll(/[-:]/g, '').slice(0, 15);
  return ['--faked-system-time', `${stamp}!`, '--ignore-time-conflict'];
}

function userArgs(keys: readonly GpgKey[]): string[] {
  return keys.flatMap(({ fingerprint }) => ['--local-user', fingerprint]);
}

async function runTool(tool: string, args: readonly string[], input: string | Buffer): Promise<Buffer> {
  const child = spawn(tool, args, { stdio: 'pipe' });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A tool that fails early closes its input; its exit status says so.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve(Buffer.concat(stdout));
      else reject(new Error(`${tool} ${args.join(' ')}: status ${status}: ${Buffer.concat(stderr).toString()}`));
    });
  });
}
