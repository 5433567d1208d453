#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The systemd unit as it is lived with: installed, started, killed and stopped by a systemd that is the first process of
# its own namespaces.
load helpers

setup() {
	[[ -x /usr/lib/systemd/systemd ]] || skip 'the package systemd'
	OUT=$BATS_TEST_TMPDIR/out
	mkdir -m 755 "$OUT"
	export_sanitizers
	cp "$TOP/tests/lsan.supp" "$OUT"
	LSAN_OPTIONS=${LSAN_OPTIONS/"$TOP/tests"/"$OUT"}
	CGROUPS=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
	GROUP=${CGROUPS:-/nowhere}/memfs-tests-$$-$BATS_TEST_NUMBER
	need_kernel 'a cgroup2 in which groups can be made' mkdir "$GROUP"
	need_kernel 'pid and cgroup namespaces' in_namespaces true
	need_kernel 'overlay file systems over /' in_namespaces sh -c '
		mount -t tmpfs tmpfs "$1" && mkdir "$1/upper" "$1/work" "$1/root" &&
		mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root" &&
		mount -t proc proc "$1/root/proc" && mount -t sysfs -o ro sysfs "$1/root/sys" &&
		mount -t cgroup2 cgroup2 "$1/root/sys/fs/cgroup"' sh "$OUT"
}

teardown() {
	# Who was killed leaves the group a moment later.
	[[ ! -e ${GROUP:-}/cgroup.kill ]] || echo 1 >"$GROUP/cgroup.kill"
	[[ ! -d ${GROUP:-} ]] || retry_until 10 find "$GROUP" -depth -type d -exec rmdir {} +
	teardown_memfs
}

# in_namespaces CMD...: as the first process of namespaces that end with it, in a cgroup of its own.
in_namespaces() {
	local namespaces=${NAMESPACES:---mount --pid --fork --kill-child --cgroup --uts --ipc --net}
	GROUP=$GROUP timeout --kill-after=5 $((100 * PATIENCE)) sh -c '
		echo 0 >"$GROUP/cgroup.procs"
		exec unshare --propagation private "$@"' sh $namespaces "$@" 3>&-
}

# booted: runs the script on standard input under systemd, prints what it says and has its status.
booted() {
	local status=0
	{
		cat <<-'PREAMBLE'
		exec 9>/run/out/trace
		BASH_XTRACEFD=9
		set -x
		# Where the machine itself is in a chroot, systemctl takes this for one as well.
		export SYSTEMD_IGNORE_CHROOT=1
		until_ok() {
			local deadline=$((SECONDS + $1))
			shift
			until "$@" >/dev/null 2>&1; do
				((SECONDS < deadline)) || { echo "not in time: $*"; systemctl status --no-pager memfs; exit 1; }
				sleep 0.05
			done
		}
		property() { systemctl show --property "$1" --value memfs; }
		child() { awk -v name="$1" '$1 == name { print $2 }' /run/memfs/state; }
		key() { awk -v key="$2" '$1 == key { print $2 }' "$1"; }
		if [[ $PPID == 1 ]]; then
			# As README.md has it.
			systemd-sysusers && systemd-tmpfiles --create && systemctl -q enable --now memfs
		fi
		PREAMBLE
		cat
	} >"$OUT/script"
	: >"$OUT/log"
	in_namespaces sh "$TOP/tests/programs/boot-systemd.sh" "$OUT" "$(realpath "$MEMFS_BUILD")" 2>>"$OUT/log" || status=$?
	cat "$OUT/log"
	((!status)) || tail -n 20 "$OUT/trace"
	return "$status"
}

@test "systemctl start returns when the tree answers, and stop leaves nothing" {
	run booted <<'SCRIPT'
property ActiveState
findmnt -no FSTYPE /memfs
cat /memfs/local/state
ps -o user= -p "$(child serve)"
stat -c '%U %G %a' /var/lib/memfs
systemctl stop memfs
property ActiveState
! mountpoint -q /memfs
! pgrep memfs
! systemctl -q is-failed memfs
systemctl start memfs
cat /memfs/local/state
systemctl restart memfs
key /memfs/status collector
SCRIPT
	assert_success
	assert_output $'active\nfuse.memfs\nlocal\nmemfs\nroot memfs 750\ninactive\nlocal\nrunning'
}

@test "what the unit takes away is missed by nothing: all files are as in a mount without it" {
	run booted <<'SCRIPT'
mkdir /tmp/by-hand
memfs mount -o run=/run/by-hand,state=/var/lib/memfs/by-hand /tmp/by-hand
health() { grep -E '^(collector|live|history|births|sweep) ' "$1/status"; }
until_ok 20 grep -qx 'collector *running' /tmp/by-hand/status
diff <(health /tmp/by-hand) <(health /memfs)
health /memfs | awk '{ print $2 }' | head -n 3
# Every file of a process of root's, of another user's, and of the node, read by root and by that user.
setpriv --reuid=nobody --regid=nogroup --clear-groups sleep 1000 &
other=$!
until_ok 20 grep -q '^65534$' "/memfs/local/$other/uid"
answers() {
	for pid in $$ "$other"; do
		ls -d "/$1/local/$pid"/* "/$1/local"/[a-z]* | grep -v events | while read -r file; do
			for user in root nobody; do
				said=$(setpriv --reuid="$user" --clear-groups cat "$file" 2>&1 >/dev/null) || true
				echo "$user ${file#/"$1"} ${said##*: }"
			done
		done
	done
}
diff <(answers tmp/by-hand) <(answers memfs)
answers memfs | wc -l
echo 'freshness_ms 50' >/memfs/local/config
echo 'reset' >"/memfs/local/$other/peak"
memfs umount /tmp/by-hand
SCRIPT
	assert_success
	assert_line --index 0 running
	assert_line --index 1 ok
	[[ ${lines[3]} -gt 150 ]] || fail "compared: $output"
}

@test "under the restrictions of the unit the kernel tells of births and of tasks, as without" {
	NAMESPACES='--mount --cgroup' run booted <<'SCRIPT'
health() { grep -E '^(collector|live|births|sweep) ' "$1/status"; }
mkdir /tmp/by-hand
memfs mount -o run=/run/by-hand,state=/run/by-hand-state /tmp/by-hand
systemctl --user start memfs
# Births are trusted once the connector has told of some.
settled() { [[ $(health /tmp/by-hand) == "$(health /memfs)" ]]; }
grep Seccomp: "/proc/$(child collector)/status"
until_ok 20 settled
health /memfs
systemctl --user stop memfs
memfs umount /tmp/by-hand
SCRIPT
	assert_success
	assert_line --index 0 $'Seccomp:\t2'
	assert_line --regexp '^collector +running$'
}

@test "the killed supervisor is started again, and who reads does not notice; nor if the others are killed" {
	run booted <<'SCRIPT'
exec 8</memfs/local/stat
mount=$(stat -c %d /memfs)
reads() { until [[ -e /tmp/enough ]]; do cat /memfs/local/total /memfs/self/comm >/dev/null || echo "a read failed" >>/tmp/failed; done; }
reads &
for who in 'property MainPID' 'child serve' 'child collector' 'property MainPID'; do
	killed=$($who)
	kill -KILL "$killed"
	until_ok 20 sh -c '! grep -qE "^(serve|collector) '"$killed"' " /run/memfs/state && [ ! -e /proc/'"$killed"' ] &&
		[ "$(systemctl show -p ActiveState --value memfs)" = active ] && [ "$(systemctl show -p MainPID --value memfs)" != '"$killed"' ]'
	until_ok 20 grep -qx 'collector *running' /memfs/status
done
touch /tmp/enough
wait
[[ ! -e /tmp/failed ]] || cat /tmp/failed
[[ $mount == "$(stat -c %d /memfs)" ]]
[[ $(cat <&8 | grep -c .) -gt 10 ]]
property NRestarts
# Told to stop while a file is open.
systemctl stop memfs
property ActiveState
mountpoint -q /memfs || echo unmounted
exec 8<&-
until_ok 20 sh -c '! pgrep memfs'
SCRIPT
	assert_success
	assert_output $'2\ninactive\nunmounted'
}

# bats test_tags=slow
@test "what cannot be mounted fails with its reason, and not for ever" {
	run booted <<'SCRIPT'
systemctl stop memfs
mkdir /tmp/first
memfs mount -o run=/run/first /tmp/first
! systemctl start memfs 2>/dev/null
until_ok 30 systemctl -q is-failed memfs
until_ok 30 grep -q '^StatusText=.' <(systemctl show memfs)
property StatusText
memfs umount /tmp/first
systemctl reset-failed memfs
systemctl start memfs
cat /memfs/local/state
SCRIPT
	assert_success
	assert_output $'the state directory is in use by another collector (give each mount its own state=)\nlocal'
}

@test "a line of fstab is a unit as well" {
	run booted <<'SCRIPT'
systemctl disable --now memfs 2>/dev/null
echo 'memfs /memfs memfs nofail,freshness_ms=200 0 0' >/etc/fstab
systemctl daemon-reload
systemctl start memfs.mount
systemctl is-active memfs.mount
key /memfs/status freshness_ms
systemctl stop memfs.mount
until_ok 20 sh -c '! pgrep memfs'
SCRIPT
	assert_success
	assert_output $'active\n200'
}
