# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A memory cgroup in which the kernel ends processes that are too large.
#
#   can_have_oom     makes one and sets CGROUP to its folder; false where there is none, or the kernel's log, which tells
#                    of such ends, cannot be read
#   remove_cgroup    and all in it; nothing where there is none

# A memory cgroup, v1 or v2, with a limit of 16 MiB and without swap.
make_cgroup() {
	local at name=memfs-tests-$$
	if [[ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]]; then
		CGROUP=/sys/fs/cgroup/memory/$name
		mkdir "$CGROUP" || return 1
		echo 16M >"$CGROUP/memory.limit_in_bytes" && echo 0 >"$CGROUP/memory.swappiness"
		return
	fi
	for at in /sys/fs/cgroup /sys/fs/cgroup/unified; do
		grep -qsw memory "$at/cgroup.subtree_control" || continue
		CGROUP=$at/$name
		mkdir "$CGROUP" || return 1
		echo 16M >"$CGROUP/memory.max" && { echo 0 >"$CGROUP/memory.swap.max" 2>/dev/null || true; }
		return
	done
	return 1
}

remove_cgroup() {
	local pid
	[[ -n ${CGROUP:-} ]] || return 0
	while read -r pid; do
		kill -KILL "$pid" 2>/dev/null || true
	done <"$CGROUP/cgroup.procs"
	retry_until 10 rmdir "$CGROUP"
	CGROUP=''
}

can_have_oom() {
	make_cgroup && dd if=/dev/kmsg iflag=nonblock bs=8192 count=1 of=/dev/null 2>/dev/null
}
