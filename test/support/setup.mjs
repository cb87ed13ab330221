// Makes a checkout ready for `npm test` and `npm run demo`: npm packages, then the Debian packages that both need.
// Plain JavaScript without dependencies, because it runs before anything is installed. Safe to run again and again.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** What must be there, how to see that it is, and the Debian package that brings it. */
const NEEDED = [
  { package: 'libvirt-daemon', isThere: () => hasProgram('libvirtd') },
  {
    package: 'libvirt-daemon-driver-qemu',
    isThere: () => hasLibrary('libvirt/connection-driver/libvirt_driver_qemu.so'),
  },
  { package: 'libvirt-clients', isThere: () => hasProgram('virsh') },
  { package: 'qemu-utils', isThere: () => hasProgram('qemu-img') },
  { package: 'qemu-system-x86', isThere: () => hasProgram('qemu-system-x86_64') },
  { package: 'gnupg', isThere: () => hasProgram('gpg') },
  { package: 'python3', isThere: () => hasProgram('python3') },
  { package: 'mandoc', isThere: () => hasProgram('mandoc') },
  { package: 'systemd', isThere: () => hasProgram('systemd-analyze') },
  { package: 'xz-utils', isThere: () => hasProgram('xz') },
  { package: 'zstd', isThere: () => hasProgram('zstd') },
  // What tests do to this host: file systems on loop devices, mounts, users, capabilities, a filter of system calls.
  { package: 'e2fsprogs', isThere: () => hasProgram('mkfs.ext4') },
  { package: 'xfsprogs', isThere: () => hasProgram('mkfs.xfs') },
  { package: 'btrfs-progs', isThere: () => hasProgram('mkfs.btrfs') },
  { package: 'bindfs', isThere: () => hasProgram('bindfs') },
  { package: 'mount', isThere: () => hasProgram('losetup') && hasProgram('mount') },
  { package: 'util-linux', isThere: () => hasProgram('setpriv') && hasProgram('unshare') },
  { package: 'libseccomp2', isThere: () => hasLibrary('libseccomp.so.2') },
];

installNpmPackages();
installDebianPackages();

function installNpmPackages() {
  const wanted = lockedVersions(join(root, 'package-lock.json'));
  const present = lockedVersions(join(root, 'node_modules/.package-lock.json'));
  const missing = [...wanted].filter(
    ([path, { version, optional }]) => !optional && present.get(path)?.version !== version,
  );
  if (missing.length === 0) return;
  say(`installing npm packages into node_modules (${wanted.size} locked)`);
  // Not `npm ci`: it refuses the lock file when a registry lacks optional packages for other platforms. Like it, this installs
  // the locked versions, checks their digests, and leaves the lock file as it is.
  run('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
}

function lockedVersions(file) {
  if (!existsSync(file)) return new Map();
  const { packages } = JSON.parse(readFileSync(file, 'utf8'));
  return new Map(Object.entries(packages).filter(([path]) => path !== ''));
}

function installDebianPackages() {
  const missing = NEEDED.filter((need) => !need.isThere()).map((need) => need.package);
  if (missing.length === 0) return;
  const apt = aptCommand();
  if (apt === undefined) {
    fail(
      `these programs are missing: install the packages ${missing.join(' ')} (on Debian: apt-get install ${missing.join(' ')})`,
    );
  }
  say(`installing Debian packages: ${missing.join(' ')}`);
  run(apt[0], [...apt.slice(1), 'update', '-qq']);
  run(apt[0], [...apt.slice(1), 'install', '-y', '-qq', '--no-install-recommends', ...missing]);
}

function aptCommand() {
  if (!hasProgram('apt-get')) return undefined;
  const environment = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];
  if (process.getuid() === 0) return environment;
  const hasSudo = hasProgram('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return hasSudo ? ['sudo', '-n', ...environment] : undefined;
}

function hasProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin'];
  return folders.some((folder) => isExecutable(join(folder, name)));
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Libraries lie in /usr/lib, or one level deeper in the folder of the architecture. */
function hasLibrary(path) {
  const folders = ['/usr/lib', '/usr/lib64', ...readdirSync('/usr/lib').map((name) => join('/usr/lib', name))];
  return folders.some((folder) => existsSync(join(folder, path)));
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) fail(`'${command} ${args.join(' ')}' failed${error === undefined ? '' : `: ${error.message}`}`);
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function fail(text) {
  process.stderr.write(`setup: error: ${text}\n`);
  // oxlint-disable-next-line unicorn/no-process-exit -- a script of its own; nothing after a failed step makes sense
  process.exit(1);
}
