/* SPDX-License-Identifier: MIT */
/* What leaks/loaded.h loads while it runs. */
#include <stdlib.h>
#include <string.h>

void *plugin_leak(size_t size);
void plugin_clean(void);

void *plugin_leak(size_t size)
{
	void *block = malloc(size);

	memset(block, 1, size);
	return block;
}

void plugin_clean(void)
{
	free(plugin_leak(510));
}
