#!/usr/bin/env bash
# The part of test-deb.sh that runs in the clean system.
set -euo pipefail
say() { echo "-- $*"; }
die() { echo "test-deb: $*" >&2; exit 1; }
check() { "${@:2}" || die "not so: $1"; }

IMAGES=/var/lib/uvtool/libvirt/images
METADATA=/var/lib/uvtool/libvirt/metadata

# Every file with type, mode and owner; without what dpkg, libvirt and this test keep for themselves.
list() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /test -o -path /tmp -o -path /var/log \
    -o -path /var/lib/dpkg -o -path /var/lib/libvirt -o -path /var/cache/libvirt -o -path /etc/libvirt \) -prune \
    -o -printf '%p %y %m %u:%g %l\n' | LC_ALL=C sort
}

shown() { # shown COMMAND...: runs it as an administrator would see it
  echo "\$ $*"
  "$@"
}

say 'without its dependencies it is refused'
! dpkg --install /test/first.deb >/tmp/refused 2>&1 || die 'it was configured without nodejs'
grep 'nodejs (>= ' /tmp/refused
dpkg --purge poolkeeper >/dev/null
dpkg --install /test/nodejs.deb >/dev/null
groupadd --force --system kvm # what libvirt-daemon-system would add, which needs systemd
useradd --system --user-group --no-create-home libvirt-qemu
list >/tmp/before

say 'installed and purged at once, it leaves nothing behind'
dpkg --install /test/first.deb >/dev/null
check 'the state is closed to others' [ "$(stat -c '%a %U:%G' /var/lib/poolkeeper)" = '2770 root:libvirt' ]
check 'the timer is not enabled' [ -z "$(find /etc/systemd -name '*poolkeeper*')" ]
shown poolkeeper --version
list | LC_ALL=C comm -13 /tmp/before - | grep -v '/usr/lib/poolkeeper/\|/usr/share/man/'
dpkg --purge poolkeeper >/dev/null
check 'nothing is left' diff /tmp/before <(list)

say 'installed again, with a libvirt daemon and a source'
dpkg --install /test/first.deb >/dev/null
mkdir --parents /var/log/libvirt
libvirtd --daemon 2>/dev/null
for _ in {1..200}; do virsh --quiet --connect qemu:///system uri >/dev/null 2>&1 && break; sleep 0.1; done
cat >/etc/poolkeeper/config.yaml <<'YAML'
connect: qemu:///system
sources:
  sample:
    url: file:///test/mirror/
    keyring: /test/keyring.gpg
    filters: [release=noble, arch=amd64]
YAML
shown poolkeeper config check
shown poolkeeper sync --create-pool
shown poolkeeper query
check 'an unchanged run prints nothing' [ -z "$(poolkeeper sync 2>&1)" ]
if poolkeeper --help | grep -q ' doctor '; then
  shown poolkeeper doctor || echo "(exit status $?)"
fi
check "it answers to uvtool's name" [ "$(/usr/lib/poolkeeper/bin/uvt-simplestreams-libvirt query)" = "$(poolkeeper query)" ]
check 'completion knows the image' [ "$(poolkeeper __complete query label=)" = 'label=release' ]

say 'with the rights of the service alone'
rights=$(sed -n 's/^CapabilityBoundingSet=//p' /test/poolkeeper-sync.service | tr A-Z a-z | sed 's/cap_/+/g; s/ /,/g')
rm -r $METADATA/* # so that there is something to do
shown setpriv --no-new-privs --bounding-set "-all,$rights" --inh-caps=-all poolkeeper sync

say 'upgraded, it keeps state and the configuration that was changed'
dpkg --install /test/second.deb >/dev/null
check 'the configuration stays' grep -q '^connect: qemu:///system' /etc/poolkeeper/config.yaml
check 'the state stays' [ -d /var/lib/poolkeeper/pools ]
shown dpkg-query --show poolkeeper
check 'an unchanged run prints nothing' [ -z "$(poolkeeper sync 2>&1)" ]

say 'removed, it keeps both; purged, neither, and no image is touched'
sums=$(sha256sum $IMAGES/* $METADATA/*)
dpkg --remove poolkeeper >/dev/null
check 'the program is gone' [ ! -e /usr/bin/poolkeeper ]
check 'the configuration stays' [ -e /etc/poolkeeper/config.yaml ]
check 'the state stays' [ -d /var/lib/poolkeeper/pools ]
install -D /dev/null /var/lib/poolkeeper/images/mine.qcow2 # an administrator's, in the wrong place
dpkg --purge poolkeeper >/dev/null
check "the administrator's image stays" rm /var/lib/poolkeeper/images/mine.qcow2
rmdir /var/lib/poolkeeper/images /var/lib/poolkeeper
check 'images and metadata are as before' [ "$(sha256sum $IMAGES/* $METADATA/*)" = "$sums" ]
virsh --quiet --connect qemu:///system vol-list uvtool
check 'nothing else is left' diff /dev/null <(list | LC_ALL=C comm -3 /tmp/before - | grep -v '^\s*/var/lib/uvtool')
say 'left are the pool and its metadata alone'
