/* SPDX-License-Identifier: MIT */
/* Cases of libraries that are loaded while the program runs: in the environment PLUGIN is plugin.c, built,
 * and PLUGIN_CXX plugin_cxx.cc. */
#pragma once

#include <dlfcn.h>

#include "truth.h"

typedef void *leak_fn(size_t size);

static inline leak_fn *plugin_open(const char *variable, const char *symbol, void **ret_handle)
{
	void *handle = dlopen(getenv(variable), RTLD_NOW | RTLD_LOCAL);
	leak_fn *leak;

	check(handle != NULL, "dlopen");
	*(void **)&leak = dlsym(handle, symbol);
	*ret_handle = handle;
	return leak;
}

static inline void plugin(void)
{
	void *handle;
	void (*clean)(void);

	leak_of(plugin_open("PLUGIN", "plugin_leak", &handle)(500), 500, "plugin.so");
	*(void **)&clean = dlsym(handle, "plugin_clean");
	clean();
}

/* In a namespace of its own a library has a C library of its own: nobody sees its blocks, and nobody trips
 * over them. */
static inline void namespace_of_its_own(void)
{
	void *handle = dlmopen(LM_ID_NEWLM, getenv("PLUGIN"), RTLD_NOW | RTLD_LOCAL);
	leak_fn *leak;
	void (*clean)(void);

	check(handle != NULL, "dlmopen");
	*(void **)&leak = dlsym(handle, "plugin_leak");
	*(void **)&clean = dlsym(handle, "plugin_clean");
	check(leak(503) != NULL, "plugin_leak");
	clean();
	LEAK(touch(malloc(504)), 504);
}

/* The leak is told of a module that is gone. */
static inline void plugin_gone(void)
{
	void *handle;

	leak_of(plugin_open("PLUGIN", "plugin_leak", &handle)(501), 501, "plugin.so(gone)");
	check(!dlclose(handle), "dlclose");
}

/* What comes to the address of one that is gone is another. */
static inline void plugin_again(void)
{
	void *handle;

	plugin_gone();
	leak_of(plugin_open("PLUGIN", "plugin_leak", &handle)(502), 502, "plugin.so");
}

/* A C++ library that this program, which is of C, does not have: only the plug-in brings it. */
static inline void plugin_of_cxx(void)
{
	void *handle;

	leak_of(plugin_open("PLUGIN_CXX", "plugin_leak_cxx", &handle)(505), 505, "plugin_cxx.so");
}
