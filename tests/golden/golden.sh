#!/bin/sh
# SPDX-License-Identifier: MIT
# sh tests/golden/golden.sh [--update] MEMFS MACHINE: mounts memfs over tests/fixtures/MACHINE and compares all that is in
# the mount with tests/golden/MACHINE.tree; --update writes that file anew, to be looked over with git diff and committed:
#
#   for machine in tests/fixtures/linux-*; do sh tests/golden/golden.sh --update build-release/memfs "${machine##*/}"; done
#
# It is for memory pages of 4096 bytes. TMPDIR is where it mounts.
set -eu
export LC_ALL=C

update=no
if [ "${1:-}" = --update ]; then
	update=yes
	shift
fi
[ $# = 2 ] || { echo 'usage: golden.sh [--update] MEMFS MACHINE' >&2; exit 2; }
memfs=$1 machine=$2
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/golden.XXXXXX")
chmod 755 "$folder"

finish() {
	status=$?
	trap - EXIT
	grep -q " $folder/mnt " /proc/self/mounts && "$memfs" umount "$folder/mnt"
	rm -rf --one-file-system "$folder"
	exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$folder/mnt" "$folder/state"
# Serve has no privilege: it may not be able to reach the checkout.
cp -a "$here/../fixtures/$machine" "$folder/machine"
"$memfs" mount -o "state=$folder/state,run=$folder/run,node=golden,proc=$folder/machine" "$folder/mnt"
python3 "$here/dump.py" "$folder/mnt" "$folder/run" >"$folder/dump"
if [ "$update" = yes ]; then
	cp "$folder/dump" "$here/$machine.tree"
else
	diff -u "$here/$machine.tree" "$folder/dump"
fi
