/* SPDX-License-Identifier: MIT */
#include "fs/cgroup_files.h"

#include <errno.h>
#include <string.h>

#include "schema/base/kv.h"
#include "schema/base/num.h"
#include "schema/proc/mountinfo.h"
#include "schema/proc/pid_cgroup.h"

/* v1 says a number next to the largest for no limit, which depends on kernel and page size; nobody has as
 * much as half of it. */
#define NO_LIMIT (UINT64_C(1) << 62)

enum { VALUE_BYTES = 64, PRESSURE_BYTES = 1024 };

/* Takes the first mount of a kind that can be reached through the root; what has blanks in it is not. */
static void take(struct cgroup_mount *mount, const struct mountinfo *info)
{
	static const char sys[] = PROC_ROOT_SYS;
	const size_t n_sys = sizeof(sys) - 1;
	bool whole = span_equals(info->root, "/");

	if (*mount->point || info->dir.n <= n_sys || memcmp(info->dir.p, sys, n_sys) != 0 ||
		info->dir.n - n_sys >= sizeof(mount->point) || info->root.n >= sizeof(mount->root) ||
		memchr(info->dir.p, '\\', info->dir.n) || memchr(info->root.p, '\\', info->root.n))
		return;
	memcpy(mount->point, info->dir.p + n_sys, info->dir.n - n_sys);
	if (!whole)
		memcpy(mount->root, info->root.p, info->root.n);
}

void cgroup_mounts_find(struct cgroup_mounts *mounts, const struct proc_root *root)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct mountinfo info;

	*mounts = (struct cgroup_mounts) { 0 };
	if (proc_read(root->proc, "self/mountinfo", &text))
		return;
	struct span rest = { text.data, text.len }, line;
	while (span_line(&rest, &line)) {
		if (!mountinfo_parse(line, &info))
			continue;
		if (span_equals(info.type, "cgroup2"))
			take(&mounts->unified, &info);
		else if (span_equals(info.type, "cgroup") && cgroup_has_controller(info.options, "memory"))
			take(&mounts->memory_v1, &info);
	}
}

/* The name of a file below sys/; false where the cgroup is not below what is mounted. */
static bool put_path(const struct cgroup_mount *mount, const struct board_cgroup *cgroup, const char *file,
	struct buf *out)
{
	size_t n = strlen(mount->root);

	if (cgroup->len < n || memcmp(cgroup->path, mount->root, n) != 0 ||
		(n && cgroup->path[n] && cgroup->path[n] != '/'))
		return false;
	buf_puts(out, mount->point);
	buf_puts(out, cgroup->path + n);
	buf_putc(out, '/');
	buf_puts(out, file);
	buf_putc(out, '\0');
	return !buf_error(out);
}

static void put_value(struct buf *out, const char *text, size_t len)
{
	uint64_t value;

	if (num_parse_whole(text, len ? len - 1 : 0, &value) && value >= NO_LIMIT)
		buf_puts(out, "max\n");
	else
		buf_put(out, text, len);
}

int cgroup_file_render(const struct cgroup_mounts *mounts, const struct proc_root *root,
	const struct board_cgroup *cgroup, enum cgroup_file file, struct buf *out)
{
	static const char *const v1[N_CGROUP_FILES] = {
		[CGROUP_CURRENT] = "memory.usage_in_bytes",
		[CGROUP_PEAK] = "memory.max_usage_in_bytes",
		[CGROUP_MAX] = "memory.limit_in_bytes",
	};
	static const char *const v2[N_CGROUP_FILES] = {
		[CGROUP_CURRENT] = "memory.current",
		[CGROUP_PEAK] = "memory.peak",
		[CGROUP_MAX] = "memory.max",
		[CGROUP_PRESSURE] = "memory.pressure",
	};
	/* Of a machine with both, pressure is in v2 though memory is counted in v1. */
	bool by_v1 = *mounts->memory_v1.point && v1[file];
	const struct cgroup_mount *mount = by_v1 ? &mounts->memory_v1 : &mounts->unified;
	char path[sizeof(mount->point) + BOARD_CGROUP_PATH + VALUE_BYTES], text[PRESSURE_BYTES];
	struct buf path_buf = BUF_FIXED(path);
	size_t len;

	if (root->sys < 0 || !*mount->point ||
		!(cgroup->hierarchies & (by_v1 ? CGROUP_MEMORY_V1 : CGROUP_UNIFIED)) ||
		!put_path(mount, cgroup, by_v1 ? v1[file] : v2[file], &path_buf))
		return -ENODATA;
	int r = proc_read_short(root->sys, path, text, sizeof(text), &len);
	/* The cgroup was removed, or its parent does not hand the controller down, or pressure is switched
	 * off. */
	if (r > 0 || r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP)
		return -ENODATA;
	if (!r && file == CGROUP_PRESSURE)
		buf_put(out, text, len);
	else if (!r)
		put_value(out, text, len);
	return r;
}
