#!/bin/sh
# SPDX-License-Identifier: MIT
# tests/setup.sh run|test|soak|bench: installs the Debian 12 packages memfs needs; the one list of them.
#
# `run` is what building and mounting takes (examples/quickstart), `test` adds what the suites use (tests/run),
# `soak` what its long ones do, `bench` what tests/bench compares memfs with. Services of the latter are neither
# started nor enabled: the benches start what they need.
# Only what is missing is installed, so without a network it works where everything is there already.
set -eu

# role, package, what for
list() {
	cat <<'LIST'
run  gcc              the compiler, with binutils
run  libc6-dev        the C library's headers
run  meson            the build, with ninja and python3
run  pkgconf          finds the libraries below
run  libfuse3-dev     the mount
run  libsqlite3-dev   history
run  uuid-dev         the id of a node
run  libglib2.0-dev   options and key files
run  libcap-dev       dropping privileges
run  libdw-dev        names for addresses
run  libiberty-dev    names as people wrote them
run  libbpf-dev       the sweep by BPF; memfs builds without it too
run  bpftool          the same
run  clang            the same; with libclang-rt-dev libFuzzer (soak)
test libcmocka-dev    tests/unit
test g++              programs in C++ to look into (tests/unit/test-symbols.c, tests/bats/preload.bats)
test bats             tests/bats
test bats-assert      tests/bats
test bats-support     tests/bats
test fuse3            mounting as an ordinary user (fusermount3)
test procps           ps and pkill, which bats uses for its time limits
test sqlite3          reading history as an administrator would
test git              which files are tracked (tests/lint)
test clang-format     tests/lint/format.sh
test shellcheck       tests/lint/shell.sh
test systemd          the unit, sysusers.d and tmpfiles.d, checked and lived with (tests/bats/{install,systemd}.bats)
test mandoc           checking the manual pages (tests/bats/install.bats)
test zsh              completion (tests/bats/install.bats)
test redis-tools      a server under the shim, and its clients (tests/bats/preload.bats)
test libjemalloc2     other allocators under the shim (tests/bats/preload.bats)
test libtcmalloc-minimal4 the same
test libmimalloc2.0   the same
soak libclang-rt-dev  libFuzzer and the sanitizers of clang
bench lxcfs                        bench-mount
bench atop                         bench-peers
bench pcp                          bench-peers (pmcd, pmdaproc, pmlogger)
bench prometheus-node-exporter     bench-peers
bench prometheus-process-exporter  bench-peers, bench-sweep
bench python3-psutil               bench-peers, bench-sweep
bench sysstat                      bench-peers (pidstat)
bench heaptrack                    bench-preload
bench valgrind                     bench-preload (callgrind)
LIST
}

role=${1:-}
case $role in
run) wanted=$(list | awk '$1 == "run" { print $2 }') ;;
test) wanted=$(list | awk '$1 == "run" || $1 == "test" { print $2 }') ;;
soak) wanted=$(list | awk '$1 != "bench" { print $2 }') ;;
bench) wanted=$(list | awk '$1 != "soak" { print $2 }') ;;
*)
	echo 'usage: tests/setup.sh run|test|soak|bench' >&2
	exit 2
	;;
esac

missing=''
for package in $wanted; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=''
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "setup: these packages are missing, and only root can install them:$missing" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo "setup: installing$missing"
# Lists that are old or absent would name packages the mirror has no longer.
apt-get -q -q -o DPkg::Lock::Timeout=300 update
set -- -q -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0
if [ "$role" = bench ]; then
	# Their scripts find these first: nothing is started or enabled, and pcp's does not fail where systemd does not run.
	without=$(mktemp -d)
	trap 'rm -r "$without"' EXIT
	for command in systemctl deb-systemd-helper deb-systemd-invoke invoke-rc.d update-rc.d; do
		ln -s /bin/true "$without/$command"
	done
	set -- "$@" -o "DPkg::Path=$without:/usr/sbin:/usr/bin:/sbin:/bin"
fi
# shellcheck disable=SC2086 # a list of words
apt-get "$@" install --no-install-recommends $missing >/dev/null
