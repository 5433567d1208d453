/* SPDX-License-Identifier: MIT */
#include "collector/leaks/region_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/base/cleanup.h"
#include "schema/proc/pid_maps.h"
#include "schema/proc/root.h"
#include "schema/shadow.h"

#define DELETED     " (deleted)"
#define REGION_PATH "/memfd:" SHADOW_NAME DELETED

static struct span without_suffix(struct span name, const char *suffix)
{
	size_t n = strlen(suffix);

	if (name.n >= n && !memcmp(name.p + name.n - n, suffix, n))
		name.n -= n;
	return name;
}

static struct span base_name(struct span path)
{
	const char *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;

	return slash ? (struct span) { slash + 1, (size_t)(path.p + path.n - slash - 1) } : path;
}

static bool is_sanitizer(struct span name)
{
	static const char *const libraries[] = { "libasan.", "liblsan.", "libtsan.", "libmsan.", "libhwasan.",
		"libclang_rt.asan", "libclang_rt.tsan" };

	for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++) {
		size_t n = strlen(libraries[i]);
		if (name.n >= n && !memcmp(name.p, libraries[i], n))
			return true;
	}
	return false;
}

static void take(struct region_maps *maps, const struct pid_mapping *mapping)
{
	maps->any = true;
	if (!mapping->inode)
		return;
	if (span_equals(mapping->name, REGION_PATH)) {
		if (!mapping->offset && maps->n_regions < REGION_MAPS_MAX) {
			maps->region[maps->n_regions].start = mapping->start;
			maps->region[maps->n_regions].end = mapping->end;
			maps->region[maps->n_regions++].inode = mapping->inode;
		}
		return;
	}
	struct span name = base_name(without_suffix(mapping->name, DELETED));
	maps->sanitizer |= is_sanitizer(name);
	if (!span_equals(name, SHADOW_LIBRARY))
		return;
	maps->library = true;
	if (span_equals(mapping->perms, "rw-p") && maps->n_data < REGION_MAPS_DATA_MAX) {
		maps->data[maps->n_data].start = mapping->start;
		maps->data[maps->n_data++].end = mapping->end;
	}
}

void region_maps_take(struct region_maps *maps, struct span *rest, bool last)
{
	struct pid_mapping mapping;

	while (pid_maps_next(rest, last, &mapping))
		take(maps, &mapping);
}

static ssize_t take_piece(void *ctx, const char *text, size_t len, bool last)
{
	struct span rest = { text, len };

	region_maps_take(ctx, &rest, last);
	return (ssize_t)(len - rest.n);
}

int region_maps_read(int dir, struct region_maps *ret)
{
	CLEANUP_CLOSE int fd = -1;
	struct region_maps maps = { 0 };
	int r = proc_open_file(dir, "maps", O_RDONLY, &fd);

	if (r == PROC_OK)
		r = proc_read_pieces(dir, fd, take_piece, &maps);
	if (r == PROC_OK)
		*ret = maps;
	return r;
}

/*
 * Looked at before it is opened for use, so that nothing else that has such a name is disturbed; without
 * waiting, for its owner may have a lease on it.
 */
int region_maps_open(int dir, const struct region_maps *maps, unsigned i)
{
	CLEANUP_CLOSE int file = -1;
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "map_files/%llx-%llx", (unsigned long long)maps->region[i].start,
		(unsigned long long)maps->region[i].end);
	int r = proc_open_file(dir, path, O_PATH, &file);
	if (r != PROC_OK)
		return r < 0 ? r : -ESRCH;
	if (fstat(file, &st) || !S_ISREG(st.st_mode) || st.st_nlink || st.st_ino != maps->region[i].inode)
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
