/* SPDX-License-Identifier: MIT */
#include "collector/leaks/site_name.h"

#include <string.h>

void site_name_read(
	const struct table_places *places, uint32_t site, GStringChunk *texts, struct site_name *ret_name)
{
	const struct shadow_module *module = table_site_module(places, site);
	const char *given = table_site_name(places, site);
	struct site_name name = { .caller = table_site_caller(places, site) };

	name.gone = site && places->site[site].key & SHADOW_SITE_GONE;
	name.resolved = !name.caller;
	name.given = given && *given;
	if (name.given)
		name.symbol = g_string_chunk_insert_const(texts, given);
	if (module) {
		name.module = g_string_chunk_insert_const(texts, module->path);
		name.module_offset = name.caller - module->bias;
		name.build_id_len = module->build_id_len;
		memcpy(name.build_id, module->build_id, sizeof(name.build_id));
	}
	*ret_name = name;
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
