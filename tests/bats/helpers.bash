# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What every bats file loads: `load helpers`. Each test mounts its own memfs in its own folders and leaves nothing.
#
#   setup_memfs [OPTION,...]   mounts; sets MNT, STATE, RUN, NODE. More mounts in one test: setup_memfs_at NAME [OPTION,...]
#   teardown_memfs             in teardown(): unmounts; fails the test if a process, mount, socket or a report of a
#                              sanitizer is left
#   retry_until SECONDS CMD    polls; the only way to wait (PATIENCE times longer on a watched build)
#   fixture MACHINE            prints the folder of a captured machine, for proc=
#   as_user CMD                as an ordinary user who may use /dev/fuse, in a mount namespace of its own
#   start CMD                  starts CMD in the background, sets STARTED to its pid; teardown ends it

bats_load_library bats-support
bats_load_library bats-assert
bats_require_minimum_version 1.5.0

: "${MEMFS_BUILD:=$BATS_TEST_DIRNAME/../../build-release}"
MEMFS=$MEMFS_BUILD/memfs
TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
# Bounds of time are promises of the release build; a watched one is some times slower.
PATIENCE=1
! grep -qs __asan_init "$MEMFS" || PATIENCE=5

# Daemons have no terminal to report to: sanitizers write beside the mount, and teardown looks there.
export_sanitizers() {
	mkdir -p "$BATS_TEST_TMPDIR/reports"
	chmod 1777 "$BATS_TEST_TMPDIR/reports"
	export ASAN_OPTIONS=log_path=$BATS_TEST_TMPDIR/reports/asan:detect_stack_use_after_return=1
	export UBSAN_OPTIONS=log_path=$BATS_TEST_TMPDIR/reports/ubsan:print_stacktrace=1
	export LSAN_OPTIONS=suppressions=$TOP/tests/lsan.supp:print_suppressions=0
	export TSAN_OPTIONS=log_path=$BATS_TEST_TMPDIR/reports/tsan
}

# setup_memfs_at NAME [OPTION,...]: a mount of its own in $BATS_TEST_TMPDIR/NAME; sets MNT, STATE, RUN, NODE to its.
setup_memfs_at() {
	local name=$1 options=${2:-}
	export_sanitizers
	MNT=$BATS_TEST_TMPDIR/$name/mnt STATE=$BATS_TEST_TMPDIR/$name/state RUN=$BATS_TEST_TMPDIR/$name/run
	NODE=$name-$$
	mkdir -p "$MNT" "$STATE"
	# 3: bats waits for whoever holds it.
	"$MEMFS" mount -o "state=$STATE,run=$RUN,node=$NODE${options:+,$options}" "$MNT" 3>&-
}

setup_memfs() {
	setup_memfs_at m "${1:-}"
}

# Our processes of this test, by what they were started with.
memfs_pids() {
	local exe pid
	# One find for all: there may be thousands of processes.
	while read -r exe; do
		pid=${exe//[!0-9]/}
		if grep -qzF "$BATS_TEST_TMPDIR/" "/proc/$pid/cmdline" 2>/dev/null ||
			grep -qzxF "BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR" "/proc/$pid/environ" 2>/dev/null; then
			echo "$pid"
		fi
	done < <(find /proc/[0-9]*/exe -maxdepth 0 \( -lname "$(realpath "$MEMFS_BUILD")/*" -o \
		-lname "$BATS_TEST_TMPDIR/*" \) 2>/dev/null)
}

# serve_pid, collector_pid [RUN]: as the supervisor wrote them down; supervisor_pid: their parent.
serve_pid() {
	awk '$1 == "serve" { print $2 }' "${1:-$RUN}/state"
}

collector_pid() {
	awk '$1 == "collector" { print $2 }' "${1:-$RUN}/state"
}

supervisor_pid() {
	awk '$1 == "PPid:" { print $2 }' "/proc/$(serve_pid "$@")/status"
}

none_left() {
	[[ -z $(memfs_pids) ]]
}

# The mounts of this test, the latest first.
mounts_here() {
	awk -v folder="$BATS_TEST_TMPDIR/" 'index($2, folder) == 1 { print $2 }' /proc/self/mounts | tac
}

teardown_memfs() {
	local dir one pid left='' file
	for one in ${STARTED_ALL:-}; do
		pid=${one%:*}
		[[ $(start_of "$pid") != "${one#*:}" ]] || kill -KILL "$pid" 2>/dev/null || true
	done
	while read -r dir; do
		[[ $dir == */live ]] || "$MEMFS" umount "$dir" || left+="cannot unmount $dir"$'\n'
	done < <(mounts_here)
	retry_until 20 none_left >/dev/null || true
	for pid in $(memfs_pids); do
		left+="process $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"$'\n'
		kill -KILL "$pid"
	done
	while read -r dir; do
		left+="mount $dir"$'\n'
		umount -l "$dir"
	done < <(mounts_here)
	while read -r file; do
		left+="socket $file"$'\n'
	done < <(find "$BATS_TEST_TMPDIR" -xdev -type s)
	for file in "$BATS_TEST_TMPDIR"/reports/*; do
		[[ ! -f $file ]] || left+="$(head -n 60 "$file")"$'\n'
	done
	[[ -z $left ]] || fail "left behind: $left"
}

# retry_until SECONDS CMD...: until CMD succeeds; then its last output is printed in any case.
retry_until() {
	local deadline=$((SECONDS + $1 * PATIENCE + 1)) output
	shift
	until output=$("$@" 2>&1); do
		if ((SECONDS >= deadline)); then
			echo "not in time: $*: $output" >&2
			return 1
		fi
		sleep 0.05
	done
	echo "$output"
}

# start CMD...: STARTED is its pid; teardown_memfs ends it.
start() {
	"$@" 3>&- &
	STARTED=$!
	end_later "$STARTED"
}

# start_of PID: in ticks; nothing where there is none of that pid.
start_of() {
	sed -n 's/.*) //; $p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# end_later PID: teardown_memfs ends it, and nobody who has its pid by then.
end_later() {
	STARTED_ALL+=" $1:$(start_of "$1")"
}

# as_user CMD...: as nobody. The real /dev/fuse keeps its mode: another node, open to all, is bound over it in a
# namespace that ends with CMD and takes its mounts with it.
as_user() {
	local node=$BATS_TEST_TMPDIR/fuse
	[[ -c $node ]] || { mknod "$node" c 10 229 && chmod 666 "$node"; }
	unshare --mount --propagation slave sh -c 'mount --bind "$0" /dev/fuse && exec setpriv --reuid=nobody --regid=nogroup \
		--clear-groups env HOME=/nonexistent "$@"' "$node" "$@" 3>&-
}

# fixture MACHINE: a copy of tests/fixtures/MACHINE where serve, which has no privilege, can reach it.
fixture() {
	cp -a "$TOP/tests/fixtures/$1" "$BATS_TEST_TMPDIR/$1"
	echo "$BATS_TEST_TMPDIR/$1"
}

# memfs_for_users: prints where a copy of memfs is that ordinary users can run: the build may be in root's home.
memfs_for_users() {
	mkdir -p "$BATS_TEST_TMPDIR/bin"
	cp "$MEMFS_BUILD/memfs" "$MEMFS_BUILD/memfs-collector" "$BATS_TEST_TMPDIR/bin"
	echo "$BATS_TEST_TMPDIR/bin/memfs"
}

# field FILE KEY: the value of a key of a flat-keyed file.
field() {
	awk -v key="$2" '$1 == key { $1 = ""; sub(/^ +/, ""); print; found = 1 } END { exit !found }' "$1"
}

# column FILE NAME: a column of a table, without its head.
column() {
	awk -F '\t' -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; if (!at) exit 1; next } { print $at }' "$1"
}

# need_kernel FEATURE CMD...: skips the test where CMD fails, naming the feature that this kernel lacks.
need_kernel() {
	local feature=$1
	shift
	"$@" >/dev/null 2>&1 || skip "kernel: $feature"
}
