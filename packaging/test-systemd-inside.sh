#!/usr/bin/env bash
# The part of .ci/long.d/package that runs in the container, as a service of the systemd that was booted there.
set -uo pipefail
passed=0
failed=0
say() { echo "-- $*"; }
die() { echo "test-systemd: $*" >&2; exit 1; }
shown() { echo "\$ $*"; "$@"; }

check() { # check WHAT COMMAND...: WHAT is so if the command succeeds
  if "${@:2}"; then
    passed=$((passed + 1))
    echo "   ok: $1"
  else
    failed=$((failed + 1))
    echo "   NOT SO: $1"
  fi
}
is() { # is EXPECTED FOUND
  [[ $1 == "$2" ]] || { echo "   expected '$1', found '$2'"; return 1; }
}
not() { ! "$@"; }
until_so() { # until_so COMMAND...: waits for what comes by itself, for three minutes at most
  local i
  for ((i = 0; i < 1800; i++)); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  echo "   it did not come: $*"
  return 1
}

STATE=/var/lib/poolkeeper
UVTOOL=/var/lib/uvtool
IMAGES=$UVTOOL/libvirt/images
METADATA=$UVTOOL/libvirt/metadata
TIMER=poolkeeper-sync.timer
SERVICE=poolkeeper-sync.service
NOTES=/run/poolkeeper-test
OWN=/etc/systemd/system/$SERVICE.d
mkdir -p $NOTES

rights() { stat -c '%a %U:%G' "$1"; }
timer() { systemctl show --property="$1" --value $TIMER; }
service() { systemctl show --property="$1" --value $SERVICE; }
enablement() { systemctl is-enabled $TIMER 2>/dev/null || true; }
journal() { journalctl --quiet --output=cat --unit=$SERVICE --since="@$(cat /tmp/started)"; } # of the last run
run_unit() { # run_unit: one run of the service, to its end; its exit status is that of the program
  systemctl reset-failed $SERVICE 2>/dev/null
  date +%s.%N >/tmp/started
  systemctl start $SERVICE 2>/dev/null || true
  service ExecMainStatus
}
purge() { dpkg --purge poolkeeper; }

# Every file with type, mode and owner; without what dpkg, libvirt, systemd and this test keep for themselves.
list() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /test -o -path /tmp -o -path /var/log \
    -o -path /var/tmp -o -path /var/lib/dpkg -o -path /var/lib/libvirt -o -path /var/cache -o -path /etc/libvirt \
    -o -path /var/lib/systemd -o -path /var/lib/apt -o -path /root -o -name '*-' \) -prune -o -printf '%p %y %m %u:%g %l\n' | LC_ALL=C sort
}

configure() { # configure URL: the source, and nothing has to be waited for
  cat >/etc/poolkeeper/config.yaml <<YAML
connect: qemu:///system
retention: { grace: 0, min-age: 0 }
sources:
  sample:
    url: $1
    keyring: /test/keyring.gpg
    filters: [release=noble, arch=amd64]
YAML
}

say "$(. /etc/os-release; echo "$PRETTY_NAME"), systemd $(systemctl --version | sed -n '1s/systemd \([0-9.]*\).*/\1/p')"
until_so virsh --connect qemu:///system uri || die 'no libvirt'
check 'systemd is the init of this system' is systemd "$(cat /proc/1/comm)"
list >/tmp/before

say 'the wrong order: without Node.js it is refused, mended by removing it, and installed again'
not dpkg --install /test/first.deb >/tmp/refused 2>&1 || die 'it was configured without nodejs'
check 'dpkg names what is missing' grep -q 'nodejs (>= ' /tmp/refused
apt-get install --fix-broken --yes >/tmp/fixed 2>&1 || cat /tmp/fixed
check 'apt removed it' not test -e /usr/bin/poolkeeper
check 'the timer is not masked' not test -L /etc/systemd/system/$TIMER
dpkg --install /test/nodejs.deb >/dev/null || die 'no nodejs'
shown dpkg --install /test/first.deb >/dev/null || die 'it was not installed'
check 'the timer is disabled, and nothing worse' is disabled "$(enablement)"
check 'the timer does not run' is inactive "$(timer ActiveState)"
check 'it can be enabled and started' systemctl --quiet enable --now $TIMER
check 'it waits' is active "$(timer ActiveState)"

say 'purged before it ever ran, it leaves nothing behind'
purge >/dev/null 2>&1
check 'the timer is gone' is 'not-found inactive' "$(timer LoadState) $(timer ActiveState)"
list | grep -v '^/usr/bin/node \|/usr/share/doc/nodejs' >/tmp/after
check 'nothing is left' diff /tmp/before /tmp/after

say 'masks: the one that 0.1 left goes, the one of an administrator stays'
DPKG_MAINTSCRIPT_PACKAGE=poolkeeper deb-systemd-helper mask $TIMER >/dev/null
check 'as 0.1 left it' is masked "$(systemctl is-enabled $TIMER 2>&1)"
dpkg --install /test/first.deb >/dev/null
check 'unmasked' is disabled "$(enablement)"
purge >/dev/null 2>&1
ln -s /dev/null /etc/systemd/system/$TIMER
dpkg --install /test/first.deb >/dev/null
check "the administrator's stays" is masked "$(enablement)"
rm /etc/systemd/system/$TIMER
purge >/dev/null 2>&1

say 'the right order, by an administrator with a strict umask'
(umask 077 && dpkg --install /test/first.deb >/dev/null)
check 'the books belong to root and the group' is '2770 root:libvirt' "$(rights $STATE)"
check "QEMU's user gets through" is '755 root:root 755 root:root' "$(rights $UVTOOL) $(rights $UVTOOL/libvirt)"
check 'metadata belongs to root and the group' is '2775 root:libvirt' "$(rights $METADATA)"
useradd --system --groups libvirt member
check 'a member of the group can write the books' setpriv --reuid=member --regid=member --init-groups test -w $STATE
check 'any other user cannot read them' not setpriv --reuid=nobody --regid=nogroup --clear-groups test -r $STATE
chmod 00700 $STATE
dpkg --install /test/first.deb >/dev/null
check 'what an administrator changed stays' is '700 root:libvirt' "$(rights $STATE)"
chown root:root $STATE && chmod 00750 $STATE $UVTOOL $UVTOOL/libvirt $METADATA && chown root:root $METADATA
dpkg --install /test/first.deb >/dev/null
check 'what 0.1 made is mended' is '2770 root:libvirt 755 root:root 2775 root:libvirt' \
  "$(rights $STATE) $(rights $UVTOOL) $(rights $METADATA)"

say "the service's first run, before anything exists"
rm -r $UVTOOL
configure file:///test/mirror/
check 'it says that there is no pool' is 10 "$(run_unit)"
check 'that is a failure' is failed "$(service ActiveState)"
journal | grep -v '^Start\|^poolkeeper-sync.service\|^Fail'
check 'it left no directory that nobody can enter' not find $UVTOOL -type d -not -perm -0005
(umask 077 && shown poolkeeper sync --create-pool) || die 'no pool could be made'
check "QEMU's user gets through" is '755 root:root 755 root:root' "$(rights $UVTOOL) $(rights $UVTOOL/libvirt)"
check "QEMU's user gets to the image, which libvirt gives to it" setpriv --reuid=libvirt-qemu --regid=libvirt-qemu \
  --clear-groups test -e "$(poolkeeper path release=noble)"
check 'uvt-kvm of every user can read the metadata' setpriv --reuid=nobody --regid=nogroup --clear-groups \
  grep -rq noble $METADATA
check 'the service has nothing to do' is 0 "$(run_unit)"
check 'and prints nothing' is '' "$(journal | grep poolkeeper: | grep -v $SERVICE)"
rm -r $METADATA
check 'without the metadata directory' is 0 "$(run_unit)"
check 'it makes it as it should be' is '775 root:root' "$(rights $METADATA)"
check 'and offers the image again' is 1 "$(ls $METADATA | wc -l)"
chgrp libvirt $METADATA && chmod 2775 $METADATA

say 'the timer: a host that was off catches up'
mkdir -p /etc/systemd/system/$TIMER.d
printf '[Timer]\nRandomizedDelaySec=0\n' >/etc/systemd/system/$TIMER.d/test.conf
systemctl daemon-reload
mkdir -p /var/lib/systemd/timers
touch --date='3 days ago' /var/lib/systemd/timers/stamp-$TIMER
before=$(service ExecMainStartTimestampMonotonic)
systemctl --quiet enable --now $TIMER
ran() { [[ $(service ExecMainStartTimestampMonotonic) != "$before" && $(service ActiveState) == inactive ]]; }
check 'the service ran' until_so ran
check 'without failure' is 'success 0' "$(service Result) $(service ExecMainStatus)"
check 'the next time is known' grep -q $SERVICE <(systemctl list-timers --no-pager $TIMER)
rm -r /etc/systemd/system/$TIMER.d && systemctl daemon-reload

# In the middle of a download the program runs until it is stopped.
serve() {
  rm -f $NOTES/*
  touch $NOTES/hold
  node /test/holding-server.mjs "$1" $NOTES &
  server=$!
  until_so test -s $NOTES/port || die 'no server'
  configure "http://127.0.0.1:$(cat $NOTES/port)/"
}
begin() {
  rm -f $NOTES/asked
  systemctl start --no-block $SERVICE
  until_so test -e $NOTES/asked
}

say 'stopped while it fetches an image'
serve /test/mirror-next
check 'it fetches' begin
check 'systemd stops it' systemctl stop $SERVICE
check 'it was told, and ended' is '1 143' "$(service ExecMainCode) $(service ExecMainStatus)"
check 'that is no failure' is 'success inactive' "$(service Result) $(service ActiveState)"
check 'nothing failed on this host' not systemctl --quiet is-failed $SERVICE

say 'upgraded while it fetches an image'
check 'it fetches' begin
shown dpkg --install /test/second.deb >/tmp/upgrade 2>&1 || cat /tmp/upgrade
check 'it is the newer one' is "$(dpkg-deb --field /test/second.deb Version)" "$(dpkg-query --show --showformat='${Version}' poolkeeper)"
check 'the run was ended, which is no failure' is '143 success' "$(service ExecMainStatus) $(service Result)"
check 'the timer is enabled and waits' is 'enabled active' "$(enablement) $(timer ActiveState)"
check 'the configuration stays' grep -q http://127.0.0.1 /etc/poolkeeper/config.yaml
rm $NOTES/hold
check 'the next run ends what was begun' is 0 "$(run_unit)"
check 'the new version is offered' grep -q 20240901 <(poolkeeper query)
kill $server; wait $server 2>/dev/null
configure 'http://127.0.0.1:9/'
check 'twin: a source that cannot be reached is a failure' is '11 failed' "$(run_unit) $(service ActiveState)"

say 'a lease that is held outside, while the service collects'
# The old version was taken out of the offer; it is brought back as a second image by uvtool's rule: it has metadata.
configure file:///test/mirror/
poolkeeper purge --yes >/dev/null 2>&1
check 'the old version is there' is 0 "$(run_unit)"
old=$(poolkeeper path release=noble)
configure file:///test/mirror-next/
check 'an image lies there' test -f "$old"
mkfifo $NOTES/release
poolkeeper lease run release=noble -- sh -c "touch $NOTES/leased; cat $NOTES/release" >/dev/null &
holder=$!
check 'a shell holds a lease' until_so test -e $NOTES/leased
check 'the service fetches the new version' is 0 "$(run_unit)"
check 'the new version is offered' grep -q 20240901 <(poolkeeper query)
check 'the leased image stays' test -f "$old"
check 'in a second run as well' is "0 $old" "$(run_unit) $(ls "$old" 2>/dev/null)"
echo >$NOTES/release
wait $holder
check 'twin: once the lease has ended, the service runs' is 0 "$(run_unit)"
check 'twin: and the image goes' not test -e "$old"

say 'a link in the metadata directory does not stop the service for good'
name=$(ls $METADATA | head -n 1)
ln -s /etc/hostname "$METADATA/${name%?}0"
run_unit >/dev/null
journal | grep ^poolkeeper: || true
check 'the next run is well' is 0 "$(run_unit)"
check 'only metadata is left' is "$name" "$(find $METADATA -mindepth 1 -maxdepth 1 -not -name '.*' -printf '%f\n')"
check 'nothing was deleted' is /etc/hostname "$(readlink "$(find $STATE -path '*set-aside*' -type l)")"
check 'nor what a link leads to' test -s /etc/hostname

say 'hints name what forbids it, and help as they are typed'
forbidden() { # forbidden WORDS...: a run of the service with these words; prints what was said
  mkdir -p $OWN
  printf '[Service]\nExecStart=\nExecStart=/usr/bin/poolkeeper sync --quiet %s\n' "$*" >$OWN/words.conf
  systemctl daemon-reload
  run_unit >/dev/null
  journal | grep ^poolkeeper:
}
install -d -o nobody -g nogroup -m 0755 /var/lib/prometheus/node-exporter
forbidden --metrics-file /var/lib/prometheus/node-exporter/poolkeeper.prom | tee /tmp/said
check 'a directory of somebody else: rights' grep -q "hint: .*chgrp root '/var/lib/prometheus/node-exporter'" /tmp/said
sed -n "s/.*hint: .*run as root: //p" /tmp/said | tee /tmp/advice
sh -e /tmp/advice
check 'the hint was followed' is '' "$(forbidden --metrics-file /var/lib/prometheus/node-exporter/poolkeeper.prom)"
check 'and figures are there' grep -q poolkeeper_last_run /var/lib/prometheus/node-exporter/poolkeeper.prom
install -d /home/figures
forbidden --metrics-file /home/figures/poolkeeper.prom | tee /tmp/said
check "home directories: the unit's setting" grep -q 'ProtectHome=.*poolkeeper-sync.service' /tmp/said
forbidden --metrics-file /usr/share/poolkeeper.prom | tee /tmp/said
check "programs: the unit's setting" grep -q 'ProtectSystem=.*poolkeeper-sync.service' /tmp/said
rm -r $OWN /home/figures && systemctl daemon-reload
systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd.service 2>/dev/null
poolkeeper sync --quiet 2>&1 | tee /tmp/said
check "the daemon of the socket" grep -q "hint: .*systemctl start libvirtd.socket" /tmp/said
systemctl start libvirtd.socket
check 'the hint was followed' poolkeeper sync --quiet

say "the example for cron, as cron runs it"
line=$(sed -n 's/^17 4 \* \* \* root //p' /test/poolkeeper.cron)
as_cron() { env -i HOME=/root LOGNAME=root SHELL=/bin/sh PATH="$(sed -n 's/^PATH=//p' /test/poolkeeper.cron)" /bin/sh -c "$line" </dev/null 2>&1; }
check 'an unchanged run sends no mail' is '' "$(as_cron)"
configure 'http://127.0.0.1:9/'
check 'twin: a failed one does' grep -q 'exit status 11' <(as_cron)
serve /test/mirror-next
poolkeeper purge --yes >/dev/null 2>&1
poolkeeper gc --empty-trash --yes >/dev/null # else the image comes from there, and no download can be held
check 'the service is at work' begin
check 'and so cron sends no mail' is '' "$(as_cron)"
rm $NOTES/hold
idle() { [[ $(service ActiveState) == inactive ]]; }
check 'the service ends well' until_so idle
kill $server; wait $server 2>/dev/null
configure file:///test/mirror-next/

say 'removed and installed again'
dpkg --remove poolkeeper >/dev/null
check 'the timer is gone, and not masked' is 'not-found inactive' "$(timer LoadState) $(timer ActiveState)"
check 'the configuration stays' test -e /etc/poolkeeper/config.yaml
check 'the state stays' test -d $STATE/pools
dpkg --install /test/second.deb >/dev/null
check 'the timer is enabled and waits, as before' is 'enabled active' "$(enablement) $(timer ActiveState)"
check 'the service runs' is 0 "$(run_unit)"

say 'purged, what is recorded about own images stays'
head --bytes=1M /dev/zero >/tmp/own.raw
shown poolkeeper import /tmp/own.raw --name own --type datablock >/dev/null
sums=$(sha256sum $IMAGES/* $METADATA/*)
dpkg --purge poolkeeper 2>&1 | tee /tmp/purged | grep ^poolkeeper:
check 'it says what stays' grep -q "^poolkeeper:   $STATE/pools/" /tmp/purged
check 'the records stay' grep -rq local:own $STATE/pools
check 'the timer is gone' is 'not-found inactive' "$(timer LoadState) $(timer ActiveState)"
check 'images and metadata are as before' is "$sums" "$(sha256sum $IMAGES/* $METADATA/*)"
dpkg --install /test/second.deb >/dev/null
check 'the timer is not enabled' is 'disabled inactive' "$(enablement) $(timer ActiveState)"
configure file:///test/mirror-next/
check 'the image is known again' grep -qw own <(poolkeeper list)
check 'the service keeps it' is 0 "$(run_unit)"
check 'the image is there' test -f "$(poolkeeper path local:own --any)"

say 'twin: without images of their own, nothing stays'
own=$(poolkeeper path local:own --any)
poolkeeper delete local:own --now
poolkeeper gc --empty-trash --yes >/dev/null 2>&1
check 'the image is gone' not test -e "$own"
sums=$(sha256sum $IMAGES/* $METADATA/*)
dpkg --purge poolkeeper 2>&1 | tee /tmp/purged | grep ^poolkeeper:
check 'nothing is said' not grep -q ^poolkeeper: /tmp/purged
check 'the state is gone' not test -e $STATE
check 'images and metadata are as before' is "$sums" "$(sha256sum $IMAGES/* $METADATA/*)"
virsh --quiet --connect qemu:///system vol-list uvtool | sed 's/^/   /'
list | grep -v '^/usr/bin/node \|/usr/share/doc/nodejs\|^/var/lib/uvtool\|^/var/lib/prometheus' >/tmp/after
check 'nothing else is left' diff /tmp/before /tmp/after

echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
