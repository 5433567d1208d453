/* SPDX-License-Identifier: MIT */
#include "schema/proc/system_files.h"

#include <errno.h>

#include "schema/proc/meminfo.h"
#include "schema/proc/pressure.h"

enum { TEXT_BYTES = 8192 };

static const struct {
	enum metric_source source;
	const char *path;
	bool always; /* every kernel has it */
	void (*parse)(struct system_values *values, const char *text, size_t len);
} files[] = {
	{ METRIC_SOURCE_MEMINFO, "meminfo", true, meminfo_parse },
	{ METRIC_SOURCE_PRESSURE_MEMORY, "pressure/memory", false, pressure_memory_parse },
};
enum { N_FILES = sizeof(files) / sizeof(*files) };

uint64_t system_files_of(const struct metric *metric)
{
	return UINT64_C(1) << (metric->source == METRIC_SOURCE_DERIVED ? METRIC_SOURCE_MEMINFO
								       : metric->source);
}

int system_files_read(const struct proc_root *root, uint64_t sources, struct system_values *ret_values)
{
	char text[TEXT_BYTES];
	size_t len;
	int r = 0;

	*ret_values = (struct system_values) { 0 };
	for (unsigned i = 0; i < N_FILES; i++) {
		if (!(sources >> files[i].source & 1))
			continue;
		int one = proc_read_short(root->proc, files[i].path, text, sizeof(text), &len);
		if (!one)
			files[i].parse(ret_values, text, len);
		else if (files[i].always && !r)
			r = one < 0 ? one : -EIO;
	}
	system_values_derive(ret_values);
	return r;
}
