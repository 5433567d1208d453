#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# memfs as a part of a system: what `meson install` puts where, mount(8) and fstab, the service manager, the manual
# pages, completion.
load helpers

setup() {
	export_sanitizers
	MNT=$BATS_TEST_TMPDIR/mnt STATE=$BATS_TEST_TMPDIR/state RUN=$BATS_TEST_TMPDIR/run
	OPTIONS=state=$STATE,run=$RUN
	mkdir "$MNT"
}

teardown() {
	teardown_memfs
}

# install_into DIR: as a package is made.
install_into() {
	DESTDIR=$1 meson install -C "$MEMFS_BUILD" --no-rebuild --quiet >"$BATS_TEST_TMPDIR/install.log" 2>&1 ||
		fail "$(cat "$BATS_TEST_TMPDIR/install.log")"
}

@test "everything is installed where it belongs, works from there, and goes when it is uninstalled" {
	local root=$BATS_TEST_TMPDIR/root
	install_into "$root"
	run -0 sh -c 'find "$1" ! -type d -printf "%P\n" | LC_ALL=C sort' sh "$root"
	assert_output "$(cat <<-LIST
	usr/local/bin/memfs
	usr/local/include/memfs.h
	usr/local/lib/libmemfs-preload.so
	usr/local/lib/systemd/system/memfs.service
	usr/local/lib/sysusers.d/memfs.conf
	usr/local/lib/tmpfiles.d/memfs.conf
	usr/local/libexec/memfs-collector
	usr/local/libexec/memfs-symbols
	usr/local/share/bash-completion/completions/memfs
	usr/local/share/man/man1/memfs.1
	usr/local/share/man/man5/memfs.5
	usr/local/share/man/man8/memfs-collector.8
	usr/local/share/man/man8/mount.memfs.8
	usr/local/share/zsh/site-functions/_memfs
	usr/sbin/mount.memfs
	LIST
	)"
	[[ $(readlink "$root/usr/sbin/mount.memfs") == /usr/local/bin/memfs ]]
	grep -qx 'ExecStart=/usr/local/bin/memfs mount -f /memfs' "$root/usr/local/lib/systemd/system/memfs.service"

	"$root/usr/local/bin/memfs" mount -o "$OPTIONS" "$MNT" 3>&-
	assert_equal "$(field "$MNT/status" collector)" running
	assert_equal "$(readlink "/proc/$(collector_pid)/exe")" "$root/usr/local/libexec/memfs-collector"
	run -0 "$root/usr/local/bin/memfs" run --require -o "run=$RUN" -- sh -c 'echo "$LD_PRELOAD"'
	assert_output --partial "/lib/libmemfs-preload.so"
	run -0 "$root/usr/local/bin/memfs" umount "$MNT"

	run -0 ninja -C "$MEMFS_BUILD" uninstall
	run sh -c 'find "$1" ! -type d 2>/dev/null' sh "$root"
	assert_output ''
}

# in_namespace SCRIPT: where mount(8) finds our helper, in a mount namespace that ends with it.
in_namespace() {
	local helpers=$BATS_TEST_TMPDIR/helpers
	mkdir "$helpers"
	ln -s "$(realpath "$MEMFS")" "$helpers/mount.memfs"
	need_kernel 'overlay file systems' unshare --mount mount -t overlay overlay -o "lowerdir=$helpers:/usr/sbin" /usr/sbin
	MEMFS=$MEMFS MNT=$MNT OPTIONS=$OPTIONS unshare --mount --propagation private bash -euc "
		mount -t overlay overlay -o 'lowerdir=$helpers:/usr/sbin' /usr/sbin
		$1" 3>&-
}

@test "mount -t memfs mounts, umount ends it" {
	run -0 in_namespace '
		mount -t memfs -o "$OPTIONS,nodev,noatime" memfs "$MNT"
		findmnt -no SOURCE,FSTYPE "$MNT"
		cat "$MNT/local/state"
		! mount -t memfs -o "$OPTIONS" memfs "$MNT" 2>&1
		umount "$MNT"
		! mountpoint -q "$MNT"'
	assert_line --regexp '^memfs +fuse\.memfs$'
	assert_line local
	retry_until 20 none_left
}

@test "a line of fstab mounts, with the words that all file systems have, and a second mount -a changes nothing" {
	cat >"$BATS_TEST_TMPDIR/fstab" <<-FSTAB
	memfs $MNT memfs defaults,nofail,_netdev,x-systemd.requires=network.target,comment=x,$OPTIONS,node=from-fstab 0 0
	memfs $BATS_TEST_TMPDIR/never memfs noauto 0 0
	FSTAB
	run -0 in_namespace "
		mount --fstab '$BATS_TEST_TMPDIR/fstab' -a
		mount --fstab '$BATS_TEST_TMPDIR/fstab' -a
		grep -c ' $MNT ' /proc/self/mounts
		ls \$MNT/nodes
		umount \$MNT"
	assert_output $'1\nfrom-fstab'
	retry_until 20 none_left
}

@test "mount.memfs: what cannot be is refused with its reason and a status of mount(8)" {
	ln -s "$(realpath "$MEMFS")" "$BATS_TEST_TMPDIR/mount.memfs"
	local helper=$BATS_TEST_TMPDIR/mount.memfs
	run -1 "$helper"
	assert_output --partial usage
	run -1 "$helper" memfs
	run -1 "$helper" memfs "$MNT" more
	run -1 "$helper" memfs "$MNT" -Z
	run -1 "$helper" a,fsname=b "$MNT"
	run -1 "$helper" memfs "$MNT" -o ro
	assert_output --partial 'no `ro`'
	run -1 "$helper" memfs "$MNT" -o remount,rw
	assert_output --partial config
	run -1 "$helper" memfs "$MNT" -o "$OPTIONS,colour=red"
	assert_output --partial colour
	run -32 "$helper" memfs "$MNT/absent" -o "$OPTIONS"
	assert_output --partial absent
	# -f does everything but mount, -s passes over what is not known.
	run -0 "$helper" memfs "$MNT" -f -o "$OPTIONS"
	run ! mountpoint -q "$MNT"
	run -1 "$helper" memfs "$MNT" -f -o colour=red
	assert_output --partial colour
	run -0 "$helper" memfs "$MNT" -s -n -v -o "rw,colour=red,$OPTIONS" 3>&-
	mountpoint -q "$MNT"
}

# As a service manager does it: prints what it is told until READY=1 or the end, then ends the service.
notified() {
	python3 - "$MEMFS" "$BATS_TEST_TMPDIR/notify" "$@" <<'PYTHON'
import os, select, signal, socket, subprocess, sys
memfs, path, *arguments = sys.argv[1:]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(path)
service = subprocess.Popen([memfs, "mount", "-f", *arguments], env={**os.environ, "NOTIFY_SOCKET": path},
                           stderr=subprocess.DEVNULL)
ended = os.pidfd_open(service.pid)
while manager in select.select([manager, ended], [], [], 60)[0]:
    text = manager.recv(4096).decode()
    print(text)
    if text == "READY=1":
        print(open(arguments[-1] + "/local/state").read(), end="")
        service.send_signal(signal.SIGTERM)
print("status", service.wait(60))
os.unlink(path)
PYTHON
}

@test "the service manager is told when the tree answers, and SIGTERM ends all" {
	run -0 notified -o "$OPTIONS" "$MNT"
	assert_output $'READY=1\nlocal\nstatus 0'
	run ! mountpoint -q "$MNT"
	assert none_left
}

@test "the service manager is told why not" {
	setup_memfs_at other
	run -0 notified -o "state=$STATE,run=$BATS_TEST_TMPDIR/run" "$BATS_TEST_TMPDIR/mnt"
	assert_line --partial 'STATUS=the state directory is in use'
	assert_line 'status 1'
}

@test "systemd takes the unit, makes the user and the directories" {
	local root=$BATS_TEST_TMPDIR/root
	sed "s,@bindir@/memfs,$(realpath "$MEMFS")," "$TOP/fs/dist/memfs.service.in" >"$BATS_TEST_TMPDIR/memfs.service"
	run -0 systemd-analyze verify --man=no "$BATS_TEST_TMPDIR/memfs.service"
	assert_output ''
	mkdir -p "$root/etc"
	run -0 systemd-sysusers --root="$root" "$TOP/fs/dist/memfs.sysusers"
	grep -q '^memfs:' "$root/etc/passwd"
	run -0 systemd-tmpfiles --create --root="$root" "$TOP/fs/dist/memfs.tmpfiles"
	assert_equal "$(stat -c '%a %u' "$root/memfs" "$root/var/lib/memfs")" $'755 0\n750 0'
	assert_equal "$(stat -c %g "$root/var/lib/memfs")" "$(awk -F : '$1 == "memfs" { print $3 }' "$root/etc/group")"
}

@test "the manual pages are clean and know every command" {
	run -0 mandoc -T lint -W warning "$TOP"/docs/man/*
	assert_output ''
	# Bold is typed over itself.
	run -0 sh -c 'mandoc -T ascii "$1" | sed "s/.\x08//g"' sh "$TOP/docs/man/memfs.1"
	for command in $("$MEMFS" complete ''); do
		assert_line --regexp "^ +$command( |\$)"
	done
	run -0 sh -c 'mandoc -T ascii "$1" | sed "s/.\x08//g"' sh "$TOP/docs/man/memfs.5"
	assert_output --partial '/nodes/NODE/PID'
}

@test "complete offers commands, flags, options and their values" {
	offers() {
		run -0 "$MEMFS" complete "${@:2}"
		assert_output "$(tr ' ' '\n' <<<"$1")"
	}
	offers 'mount' m
	offers '--help --version' --
	offers '-f -o --help' mount -
	offers 'state= single sample_interval_ms= sweep=' mount -o s
	offers 'node=x,state=' mount -o node=x,st
	offers '--markdown --man' tree --m
	offers '' tree ''
	offers '' frobnicate ''
	offers '' serve ''
	run -0 "$MEMFS" complete mount -o node=x,run=/r
	assert_output ':directories node=x,run='
	run -0 "$MEMFS" complete umount /me
	assert_output ':directories '
	run -0 "$MEMFS" complete
	assert_line mount
}

keys() {
	python3 "$TOP/tests/programs/type-keys.py" "$((20 * PATIENCE))" "$@"
}

@test "bash completes" {
	mkdir -p "$BATS_TEST_TMPDIR/home/some-directory"
	cd "$BATS_TEST_TMPDIR/home"
	PATH=$(realpath "$MEMFS_BUILD"):$PATH run -0 keys bash --norc --noprofile -i -- \
		"PS1='> '; source '$TOP/fs/dist/completion.bash'; echo sourced-\$?\n" sourced-0 \
		'memfs mou\t' 'memfs mount ' '-o fresh\t' 'freshness_ms=' '10,sta\t' ',state=' 'some\t' 'some-directory/' \
		'\x15memfs umount som\t' 'memfs umount some-directory/' '\x15memfs --v\t' 'memfs --version '
}

@test "zsh completes" {
	mkdir -p "$BATS_TEST_TMPDIR/home/some-directory" "$BATS_TEST_TMPDIR/functions"
	cp "$TOP/fs/dist/completion.zsh" "$BATS_TEST_TMPDIR/functions/_memfs"
	cd "$BATS_TEST_TMPDIR/home"
	PATH=$(realpath "$MEMFS_BUILD"):$PATH run -0 keys env TERM=dumb zsh -f -i -- \
		"PS1='> '; fpath=('$BATS_TEST_TMPDIR/functions' \$fpath); autoload -U compinit; compinit -u -D; echo loaded-\$?\n" loaded-0 \
		'memfs mou\t' 'nt ' '-o fresh\t' 'ness_ms=' '10,sta\t' 'te=' 'some\t' '-directory' \
		'\x15memfs umount som\t' 'e-directory' '\x15memfs --v\t' 'ersion '
}
