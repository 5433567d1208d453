/* SPDX-License-Identifier: MIT */
/*
 * What people call a place in the code: function and module, what kind of place it is, and how it is told
 * from others in another process of the same program.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector/leaks/table.h"
#include "schema/leak.h"

struct site_name {
	uint64_t caller;        /* return address; 0: it has none */
	bool gone;              /* its module was unloaded: the address may be another's */
	bool given;             /* the program named it itself */
	bool resolved;          /* there is nothing more to be found out */
	uint64_t edition;       /* of the lists by which symbol and suppressed were found; 0: none */
	const char *symbol;     /* to show; NULL: unknown */
	const char *function;   /* that the code is of; NULL: unknown */
	const char *module;     /* path; NULL: unknown */
	uint64_t module_offset; /* of the return address, from the module's bias */
	uint8_t build_id[SHADOW_BUILD_ID_MAX];
	uint32_t build_id_len;
	bool suppressed; /* people said that they do not want to be told */
};

/* What the region itself says of a site: the module, or the name that the program gave. All texts of names
 * are kept in `texts`. */
void site_name_read(
	const struct table_places *places, uint32_t site, GStringChunk *texts, struct site_name *ret_name);

/* Fills in of a leak_site what is its name; the spans point to its texts. */
void site_name_show(const struct site_name *name, struct leak_site *site);
