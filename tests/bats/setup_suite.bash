# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Run by bats once, before all files.

setup_suite() {
	# Ordinary users must be able to reach the mounts in there.
	chmod 755 "$BATS_RUN_TMPDIR"
	local build=${MEMFS_BUILD:-$BATS_TEST_DIRNAME/../../build-release}
	[[ -x $build/memfs ]] || {
		echo "no $build/memfs: build it, or say where: MEMFS_BUILD=FOLDER bats tests/bats" >&2
		return 1
	}
}
