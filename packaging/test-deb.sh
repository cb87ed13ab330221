#!/usr/bin/env bash
# Builds the Debian package, installs it in a clean Debian 12, syncs from it, upgrades, removes and purges it.
# As root, on Debian, with debootstrap and lintian; takes some minutes, and leaves nothing behind.
# POOLKEEPER_DEB_ROOT=DIR takes a copy of an earlier debootstrap instead of a new one.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { echo "== $*"; }
die() { echo "test-deb: $*" >&2; exit 1; }

[[ $(id -u) == 0 ]] || die 'be root: a root directory of its own is needed'
for program in debootstrap dpkg-deb lintian unshare qemu-img gpg; do
  command -v $program >/dev/null || die "install $program"
done

work=$(mktemp -d /var/tmp/poolkeeper-deb.XXXXXX)
# Mounts are made in a name space that ends before this.
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
test=$root/test

say 'building the package, and one that upgrades it'
node packaging/build-deb.mjs --out="$work" --revision=1
node packaging/build-deb.mjs --out="$work" --revision=2 >/dev/null
(cd "$work" && lintian --allow-root --fail-on error,warning poolkeeper_*-1_*.deb) && say 'lintian finds no error and no warning'

say 'a clean Debian 12, with the libvirt daemon'
if [[ -n ${POOLKEEPER_DEB_ROOT:-} ]]; then
  cp -a "$POOLKEEPER_DEB_ROOT" "$root"
else
  packages=libvirt0,libvirt-daemon,libvirt-daemon-driver-qemu,libvirt-clients
  timeout 1200 debootstrap --variant=minbase --include=$packages bookworm "$root" >"$work/debootstrap.log" ||
    { tail -20 "$work/debootstrap.log"; die 'debootstrap failed'; }
fi
mkdir "$test"

say 'a package of the Node.js that runs here, as Debian 12 has an older one'
mkdir -p "$work/nodejs/DEBIAN" "$work/nodejs/usr/bin"
cp -L "$(command -v node)" "$work/nodejs/usr/bin/node"
printf '%s\n' 'Package: nodejs' "Version: $(node --version | tr -d v)-1local" "Architecture: $(dpkg --print-architecture)" \
  'Maintainer: test <test@localhost>' 'Description: the Node.js of the host' >"$work/nodejs/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$work/nodejs" "$test/nodejs.deb" >/dev/null

cp "$work"/poolkeeper_*-1_*.deb "$test/first.deb"
cp "$work"/poolkeeper_*-2_*.deb "$test/second.deb"
cp packaging/poolkeeper-sync.service packaging/test-deb-inside.sh "$test"
node packaging/sample-stream.mjs "$test"

timeout 600 unshare --mount --pid --ipc --uts --net --fork --kill-child --mount-proc="$root/proc" \
  chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
  /bin/bash /test/test-deb-inside.sh
say 'passed'
