import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DaemonKind, PrivateLibvirtd } from './private-libvirtd.ts';

const ACTIVATION = fileURLToPath(new URL('../../../test/support/socket-activation.py', import.meta.url));

/** The user that Debian's libvirt runs QEMU as: these numbers are its own on every Debian system. */
export const QEMU_USER = { name: 'libvirt-qemu', uid: 64_055, gid: 64_055 } as const;

export interface SystemDaemonOptions {
  /** Whether libvirt gives the files of a domain to QEMU's user for the time that it runs. */
  readonly isOwnershipDynamic: boolean;
  /** Whether the daemon ends when nobody needs it and is started by the next connection, as by systemd. */
  readonly endsWhenIdle?: boolean;
}

/**
 * Starts a libvirtd as root: the system daemon, with QEMU as a user of its own. It runs in a mount namespace of its own, in
 * which everything that libvirt has compiled in as a path (/etc/libvirt, /run, /var/lib, /var/cache, /var/log, /dev and the control
 * groups) lies in a directory of the test, so nothing of the host's own libvirt is seen or touched. Images lie where both see
 * them. `stop` it in an `after` hook.
 *
 * With POOLKEEPER_TEST_USR, the /usr of another system, libvirt and QEMU are that one's, for this program as well.
 *
 * @throws Error unless the tests run as root.
 */
export async function startSystemLibvirtd(options: SystemDaemonOptions): Promise<SystemLibvirtd> {
  if (process.getuid?.() !== 0) throw new Error('a system daemon runs as root: run this test as root');
  const root = await mkdtemp(join(tmpdir(), 'pk-system-'));
  await chmod(root, 0o755);
  // QEMU's user has to find its way to its sockets.
  for (const folder of ['etc', 'run', 'sock', 'lib', 'cache', 'log']) await mkdir(join(root, folder), { mode: 0o755 });
  await writeFile(join(root, 'etc/qemu.conf'), qemuConf(options));
  await writeFile(join(root, 'etc/libvirtd.conf'), libvirtdConf(root));
  for (const [file, line] of [
    ['passwd', `${QEMU_USER.name}:x:${QEMU_USER.uid}:${QEMU_USER.gid}:QEMU:/nonexistent:/usr/sbin/nologin`],
    ['group', `${QEMU_USER.name}:x:${QEMU_USER.gid}:`],
  ] as const) {
    const lines = (await readFile(join('/etc', file), 'utf8')).split('\n');
    const others = lines.filter((known) => known !== '' && !known.startsWith(`${QEMU_USER.name}:`));
    await writeFile(join(root, file), [...others, line, ''].join('\n'), { mode: 0o644 });
  }
  await writeFile(join(root, 'enter.sh'), ENTER);
  const libvirtd = new SystemLibvirtd(root, systemDaemon(root, options));
  try {
    await libvirtd.start();
  } catch (error) {
    await rm(root, { recursive: true, force: true });
    throw error;
  }
  return libvirtd;
}

/** A libvirtd that runs as root. */
export class SystemLibvirtd extends PrivateLibvirtd {
  /** The words that run a command where the daemon runs, so that it finds the configuration and the accounts of this host. */
  inside(...words: readonly string[]): readonly string[] {
    return ['nsenter', '--mount', `--target=${this.pid}`, ...words];
  }

  /** How often a daemon that ends when nobody needs it has been started. */
  async starts(): Promise<number> {
    return (await readFile(join(this.root, 'starts'), 'utf8')).split('\n').length - 1;
  }

  /** Whether such a daemon runs. */
  async isAwake(): Promise<boolean> {
    return (await readFile(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8')).trim() !== '';
  }
}

function systemDaemon(root: string, { endsWhenIdle = false }: SystemDaemonOptions): DaemonKind {
  const libvirtd = ['libvirtd', '--config', '/etc/libvirt/libvirtd.conf'];
  const socket = join(root, 'sock/libvirt-sock');
  const activation = ['python3', ACTIVATION, socket, 'libvirtd.socket', join(root, 'starts')];
  const command = endsWhenIdle ? [...activation, ...libvirtd, '--timeout', '1'] : libvirtd;
  const shared = join(tmpdir(), 'poolkeeper-test-qemu-capabilities-system');
  return {
    mode: 'system',
    socket,
    environment: {
      PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: root,
      POOLKEEPER_TEST_USR: process.env['POOLKEEPER_TEST_USR'],
      POOLKEEPER_TEST_NODE: process.execPath,
    },
    command: ['unshare', '--mount', '--propagation=private', 'sh', join(root, 'enter.sh'), root, shared, ...command],
    user: undefined,
    pidFolder: join(root, 'run/qemu'),
    proof: 'mountinfo',
  };
}

/**
 * Where there are no control groups libvirt does without them; in the host's it would leave empty ones behind. A /dev/kvm that
 * root can open, and QEMU's user cannot, makes libvirt forget what it knows of QEMU again and again.
 */
const ENTER = `set -e
root=$1 shared=$2
shift 2
awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/self/mounts | sort -r | while read -r dir; do umount -l "$dir"; done
for dir in /run /var/lib /var/cache /var/log; do mount -t tmpfs -o mode=0755 poolkeeper-test "$dir"; done
mkdir /run/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt
mount --bind "$root/run" /run/libvirt
mount --bind "$root/lib" /var/lib/libvirt
mount --bind "$root/cache" /var/cache/libvirt
mount --bind "$root/log" /var/log/libvirt
mount --bind "$root/etc" /etc/libvirt
mount --bind "$root/passwd" /etc/passwd
mount --bind "$root/group" /etc/group
mkdir -p "$shared" "$root/cache/qemu/capabilities"
mount --bind "$shared" /var/cache/libvirt/qemu/capabilities
mkdir /run/dev
mount -t tmpfs -o mode=0755 poolkeeper-test /run/dev
for node in null zero full random urandom tty; do cp -a "/dev/$node" /run/dev/; done
mkdir /run/dev/pts /run/dev/shm
ln -s pts/ptmx /run/dev/ptmx
mount --bind /dev/pts /run/dev/pts
awk '$2 ~ "^/dev/" { print $2 }' /proc/self/mounts | sort -r | while read -r dir; do umount -l "$dir"; done
mount --move /run/dev /dev
if [ -n "$POOLKEEPER_TEST_USR" ]; then
  touch "$POOLKEEPER_TEST_USR/bin/node"
  mount --bind "$(readlink -f "$POOLKEEPER_TEST_NODE")" "$POOLKEEPER_TEST_USR/bin/node"
  mount --rbind "$POOLKEEPER_TEST_USR" /usr
fi
exec "$@"
`;

function libvirtdConf(root: string): string {
  return [
    `unix_sock_dir = "${root}/sock"`,
    'unix_sock_group = "root"',
    'unix_sock_rw_perms = "0770"',
    'auth_unix_rw = "none"',
    'auth_unix_ro = "none"',
    '',
  ].join('\n');
}

/** Otherwise a virtlogd is started that nobody ends. */
function qemuConf({ isOwnershipDynamic }: SystemDaemonOptions): string {
  return [
    'stdio_handler = "file"',
    `user = "${QEMU_USER.name}"`,
    `group = "${QEMU_USER.name}"`,
    `dynamic_ownership = ${isOwnershipDynamic ? 1 : 0}`,
    '',
  ].join('\n');
}
