#!/bin/sh
# SPDX-License-Identifier: MIT
# boot-systemd.sh OUT BUILD: as the first process of new mount, pid, cgroup, uts, ipc and net namespaces, becomes a
# systemd that has this machine's files below an overlay and nothing of its devices, settings and groups, with BUILD
# installed. It runs OUT/script by bash, what that says goes to OUT/log, and its exit status is the script's.
# In new mount and cgroup namespaces alone, where it is not the first process, it becomes the manager of root's own
# services: units are restricted as ever, and the kernel still tells of the machine's births and tasks.
set -eu

out=$1 build=$2
world=$out/world
root=$world/root

mkdir "$world"
mount -t tmpfs -o mode=755 world "$world"
mkdir "$world/upper" "$world/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$world/upper,workdir=$world/work" "$root"

mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
# Nodes of its own: systemd-tmpfiles gives them modes.
while read -r node major minor; do
	mknod -m 666 "$root/dev/$node" c "$major" "$minor"
done <<'NODES'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
fuse 10 229
NODES
: >"$root/dev/console"
for dir in run tmp var/log var/lib/memfs; do
	mkdir -p "$root/$dir"
	mount -t tmpfs -o mode=755 "$(basename "$dir")" "$root/$dir"
done
# The services of this machine are not wanted.
mount -t tmpfs -o mode=755 units "$root/etc/systemd/system"
: >"$root/etc/fstab"
mkdir -p "$root/run/out" "$root/run/old" "$root/run/user" "$root/run/systemd/system"
mount --bind "$out" "$root/run/out"
# What sanitizers are told names files beside OUT.
mkdir -p "$root/$(dirname "$out")" "$root/etc/systemd/system/memfs.service.d"
mount --bind "$(dirname "$out")" "$root/$(dirname "$out")"
{
	echo '[Service]'
	env | sed -n 's/^[A-Z]*SAN_OPTIONS=.*/Environment="&"/p'
} >"$root/etc/systemd/system/memfs.service.d/sanitizers.conf"

DESTDIR=$root meson install -C "$build" --no-rebuild --quiet >"$out/install.log" 2>&1 || { cat "$out/install.log" >&2; exit 125; }
cat >"$root/etc/systemd/system/script.service" <<'UNIT'
[Unit]
Requires=basic.target
After=basic.target
SuccessAction=exit
FailureAction=exit

[Service]
Type=oneshot
ExecStart=/bin/bash -eu /run/out/script
WorkingDirectory=/
StandardOutput=append:/run/out/log
StandardError=inherit
UNIT

cd "$root"
pivot_root . run/old
umount -l /run/old
set -- --unit=script.service --log-target=null --show-status=no
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
if [ $$ = 1 ]; then
	exec env -i container=memfs-tests PATH=$PATH /usr/lib/systemd/systemd "$@"
fi
mkdir /memfs 2>/dev/null || true
exec env -i container=memfs-tests PATH=$PATH HOME=/root XDG_RUNTIME_DIR=/run/user \
	SYSTEMD_UNIT_PATH=/etc/systemd/system:/usr/local/lib/systemd/system: /usr/lib/systemd/systemd --user "$@"
