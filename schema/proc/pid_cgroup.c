/* SPDX-License-Identifier: MIT */
#include "schema/proc/pid_cgroup.h"

#include <string.h>

enum source { SOURCE_SYSTEMD, SOURCE_UNIFIED, SOURCE_MEMORY, N_SOURCES };
enum rank { RANK_NONE, RANK_PLAIN, RANK_SLICE, RANK_UNIT };

static bool ends_with(struct span text, const char *end)
{
	size_t n = strlen(end);
	return text.n > n && !memcmp(text.p + text.n - n, end, n);
}

static enum rank rank_of(struct span component)
{
	static const char *const units[] = { ".service", ".scope", ".mount", ".socket", ".swap" };

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (ends_with(component, units[i]))
			return RANK_UNIT;
	}
	return ends_with(component, ".slice") ? RANK_SLICE : RANK_PLAIN;
}

static bool is_upward(struct span component)
{
	return span_equals(component, "..");
}

struct span cgroup_unit(struct span path)
{
	const char *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;
	return slash ? (struct span) { slash + 1, path.n - (size_t)(slash + 1 - path.p) } : path;
}

/* Cuts a path behind the component that names the unit. */
static enum rank cut_at_unit(struct span *path)
{
	struct span rest = *path;
	enum rank best = RANK_NONE;

	while (rest.n > 1) {
		struct span component = cgroup_unit(rest);
		enum rank rank = component.n && !is_upward(component) ? rank_of(component) : RANK_NONE;
		/* From the end on: the innermost of its rank; a plain one only where it is the last. */
		if (rank > best && (rank > RANK_PLAIN || rest.n == path->n)) {
			best = rank;
			path->n = rest.n;
		}
		if (component.n >= rest.n)
			break;
		rest.n -= component.n + 1;
	}
	return best;
}

static bool leads_upward(struct span path)
{
	while (path.n) {
		struct span component = cgroup_unit(path);
		if (is_upward(component))
			return true;
		if (component.n == path.n)
			break;
		path.n -= component.n + 1;
	}
	return false;
}

bool cgroup_has_controller(struct span controllers, const char *name)
{
	while (controllers.n) {
		const char *comma = memchr(controllers.p, ',', controllers.n);
		size_t n = comma ? (size_t)(comma - controllers.p) : controllers.n;
		if (span_equals((struct span) { controllers.p, n }, name))
			return true;
		n += comma ? 1 : 0;
		controllers.p += n;
		controllers.n -= n;
	}
	return false;
}

/* Stores the path of a line where it is of a hierarchy that counts. */
static void read_line(struct span line, struct span paths[N_SOURCES])
{
	static const char deleted[] = " (deleted)";
	const char *first = memchr(line.p, ':', line.n);
	const char *second = first ? memchr(first + 1, ':', line.n - (size_t)(first + 1 - line.p)) : NULL;

	if (!second)
		return;
	struct span id = { line.p, (size_t)(first - line.p) };
	struct span controllers = { first + 1, (size_t)(second - first - 1) };
	struct span path = { second + 1, line.n - (size_t)(second + 1 - line.p) };
	if (!path.n || *path.p != '/')
		return;
	if (ends_with(path, deleted))
		path.n -= sizeof(deleted) - 1;
	if (span_equals(controllers, "name=systemd"))
		paths[SOURCE_SYSTEMD] = path;
	else if (span_equals(id, "0") && !controllers.n)
		paths[SOURCE_UNIFIED] = path;
	else if (cgroup_has_controller(controllers, "memory"))
		paths[SOURCE_MEMORY] = path;
}

/* Whether the one is the other, or an ancestor of it. */
static bool is_above(struct span ancestor, struct span path)
{
	return path.n >= ancestor.n && !memcmp(path.p, ancestor.p, ancestor.n) &&
	       (path.n == ancestor.n || path.p[ancestor.n] == '/');
}

void pid_cgroup_parse(struct pid_cgroup *cgroup, const char *text, size_t len)
{
	struct kv_cursor lines = kv_begin_lines(text, len);
	struct span rest = { lines.at, (size_t)(lines.end - lines.at) }, line;
	struct span paths[N_SOURCES] = { 0 };
	enum rank best = RANK_NONE;

	while (span_line(&rest, &line))
		read_line(line, paths);
	*cgroup = (struct pid_cgroup) { 0 };
	for (int i = 0; i < N_SOURCES; i++) {
		struct span path = paths[i];
		enum rank rank = cut_at_unit(&path);
		if (rank > best) {
			best = rank;
			cgroup->path = path;
		}
	}
	if (!best)
		return;
	cgroup->unit = cgroup_unit(cgroup->path);
	if (leads_upward(cgroup->path))
		return;
	if (paths[SOURCE_MEMORY].n && is_above(cgroup->path, paths[SOURCE_MEMORY]))
		cgroup->hierarchies |= CGROUP_MEMORY_V1;
	if (paths[SOURCE_UNIFIED].n && is_above(cgroup->path, paths[SOURCE_UNIFIED]))
		cgroup->hierarchies |= CGROUP_UNIFIED;
}
