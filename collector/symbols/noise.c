/* SPDX-License-Identifier: MIT */
#include "collector/symbols/noise.h"

#include <string.h>

#include "collector/symbols/glob.h"

const char *const noise_name[N_NOISES] = {
	[NOISE_NONE] = "-",
	[NOISE_STDIO] = "stdio",
	[NOISE_THREAD] = "thread",
	[NOISE_CXX_POOL] = "cxx_pool",
	[NOISE_LOADER] = "loader",
	[NOISE_LOCALE] = "locale",
	[NOISE_TIME_ZONE] = "time_zone",
	[NOISE_LOOKUP] = "lookup",
	[NOISE_EXIT] = "exit",
};

/* The C library under its names, linked statically too: then the module is the program. */
static const struct rule {
	const char *function; /* a pattern; NULL: any, and none */
	const char *module;   /* a pattern; NULL: any */
	uint64_t size_bytes;  /* 0: any */
	enum noise noise;
} rules[] = {
	{ "_IO_file_doallocate", NULL, 0, NOISE_STDIO },
	{ "_IO_wfile_doallocate", NULL, 0, NOISE_STDIO },
	{ "_dl_allocate_tls*", NULL, 0, NOISE_THREAD },
	{ "allocate_dtv*", NULL, 0, NOISE_THREAD },
	{ "_dl_resize_dtv", NULL, 0, NOISE_THREAD },
	{ "resize_dtv", NULL, 0, NOISE_THREAD },
	{ "allocate_and_init", NULL, 0, NOISE_THREAD },
	{ "tls_get_addr_tail", NULL, 0, NOISE_THREAD },
	{ "_dl_tls_get_addr_soft", NULL, 0, NOISE_THREAD },
	{ "__tls_get_addr", NULL, 0, NOISE_THREAD },
	{ "pthread_create*", "libc.so*", 0, NOISE_THREAD },
	{ "__pthread_create*", NULL, 0, NOISE_THREAD },
	/* EMERGENCY_OBJ_SIZE * EMERGENCY_OBJ_COUNT of libstdc++'s eh_alloc.cc, up to GCC 12 and from 13 on.
	 */
	{ NULL, "libstdc++.so*", 72704, NOISE_CXX_POOL },
	{ NULL, "libstdc++.so*", 73728, NOISE_CXX_POOL },
	{ "*__gnu_cxx9__freeresEv", NULL, 0, NOISE_CXX_POOL },
	{ "*(anonymous namespace)::pool::pool*", NULL, 0, NOISE_CXX_POOL },
	{ "setlocale", NULL, 0, NOISE_LOCALE },
	{ "_nl_*", NULL, 0, NOISE_LOCALE },
	{ "new_composite_name", NULL, 0, NOISE_LOCALE },
	{ "__gconv*", NULL, 0, NOISE_LOCALE },
	{ "gconv_*", "libc.so*", 0, NOISE_LOCALE },
	{ "set_binding_values", NULL, 0, NOISE_LOCALE },
	{ "bindtextdomain", "libc.so*", 0, NOISE_LOCALE },
	{ "textdomain", "libc.so*", 0, NOISE_LOCALE },
	{ "__dcigettext", NULL, 0, NOISE_LOCALE },
	{ "tzset", NULL, 0, NOISE_TIME_ZONE },
	{ "tzset_internal", NULL, 0, NOISE_TIME_ZONE },
	{ "__tz*", NULL, 0, NOISE_TIME_ZONE },
	{ "tzfile_*", NULL, 0, NOISE_TIME_ZONE },
	{ "__nss_*", NULL, 0, NOISE_LOOKUP },
	{ "nss_*", "libc.so*", 0, NOISE_LOOKUP },
	{ "__res_*", NULL, 0, NOISE_LOOKUP },
	{ "__resolv_*", NULL, 0, NOISE_LOOKUP },
	{ "__new_exitfn", NULL, 0, NOISE_EXIT },
	{ "__cxa_atexit", NULL, 0, NOISE_EXIT },
	{ "__cxa_thread_atexit*", NULL, 0, NOISE_EXIT },
	{ "__on_exit", NULL, 0, NOISE_EXIT },
	{ "dlerror", NULL, 0, NOISE_LOADER },
	{ "__dlerror*", NULL, 0, NOISE_LOADER },
	{ "_dlerror_run", NULL, 0, NOISE_LOADER },
	{ "_dl_*", NULL, 0, NOISE_LOADER },
	{ "dl_open_worker*", NULL, 0, NOISE_LOADER },
	{ "add_to_global*", NULL, 0, NOISE_LOADER },
	/* The loader has few symbols; whatever it keeps is its own. */
	{ NULL, "ld-linux*", 0, NOISE_LOADER },
	{ NULL, "ld-musl*", 0, NOISE_LOADER },
	{ NULL, "ld-2.*", 0, NOISE_LOADER },
};

static bool fits(const char *pattern, const char *text)
{
	return !pattern || (text && glob_matches((struct span) { pattern, strlen(pattern) },
					    (struct span) { text, strlen(text) }));
}

enum noise noise_of(const char *function, const char *module, uint64_t size_bytes)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		const struct rule *rule = &rules[i];
		if ((!rule->size_bytes || rule->size_bytes == size_bytes) && fits(rule->function, function) &&
			fits(rule->module, module))
			return rule->noise;
	}
	return NOISE_NONE;
}
