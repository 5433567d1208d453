/* SPDX-License-Identifier: MIT */
#include "collector/leaks/site_name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int site_name_read(const struct table_places *places, uint32_t site, struct site_name *ret_name)
{
	const struct shadow_module *module = table_site_module(places, site);
	const char *given = table_site_name(places, site);
	struct site_name name = { .caller = table_site_caller(places, site) };
	bool fine = true;

	name.gone = site && places->site[site].key & SHADOW_SITE_GONE;
	name.resolved = !name.caller;
	if (given && *given)
		fine = (name.symbol = strndup(given, SHADOW_NAME_BYTES));
	if (module) {
		fine = fine && (name.module = strndup(module->path, sizeof(module->path)));
		name.module_offset = name.caller - module->bias;
		name.build_id_len = module->build_id_len;
		memcpy(name.build_id, module->build_id, sizeof(name.build_id));
	}
	if (!fine) {
		site_name_deinit(&name);
		return -ENOMEM;
	}
	*ret_name = name;
	return 0;
}

void site_name_deinit(struct site_name *name)
{
	free(name->symbol);
	free(name->function);
	free(name->module);
	*name = (struct site_name) { 0 };
}

static struct span span_of(const char *text)
{
	return (struct span) { text, text ? strlen(text) : 0 };
}

void site_name_show(const struct site_name *name, struct leak_site *site)
{
	site->caller = name->caller;
	site->symbol = span_of(name->symbol);
	site->module = span_of(name->module);
	site->module_offset = name->module_offset;
	site->build_id = (struct span) { (const char *)name->build_id, name->build_id_len };
}
