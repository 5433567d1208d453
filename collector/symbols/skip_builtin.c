/* SPDX-License-Identifier: MIT */
#include "collector/symbols/skip.h"

#define FUNCTION(name)                                                                                       \
	{                                                                                                    \
		{ (name), sizeof(name) - 1 }, false, false                                                   \
	}
#define MODULE(name)                                                                                         \
	{                                                                                                    \
		{ (name), sizeof(name) - 1 }, true, false                                                    \
	}

static const struct skip_pattern patterns[] = {
	/* The C library and the shim: strdup, getline, fopen and all else allocate for who called them. */
	MODULE("libc.so*"),
	MODULE("libc-*.so"),
	MODULE("ld-linux*"),
	MODULE("ld-musl*"),
	MODULE("libmemfs-preload.so"),
	FUNCTION("malloc"),
	FUNCTION("calloc"),
	FUNCTION("realloc"),
	FUNCTION("reallocarray"),
	FUNCTION("memalign"),
	FUNCTION("aligned_alloc"),
	FUNCTION("posix_memalign"),
	FUNCTION("valloc"),
	FUNCTION("pvalloc"),
	FUNCTION("strdup"),
	FUNCTION("__strdup"),
	FUNCTION("strndup"),
	FUNCTION("asprintf"),
	FUNCTION("vasprintf"),
	/* C++ */
	MODULE("libstdc++.so*"),
	MODULE("libc++.so*"),
	MODULE("libc++abi.so*"),
	FUNCTION("operator new"),
	FUNCTION("operator new[]"),
	FUNCTION("std::*"),
	FUNCTION("__gnu_cxx::*"),
	FUNCTION("boost::*alloc*"),
	/* Names that many have given theirs */
	FUNCTION("x*alloc"),
	FUNCTION("x*allocarray"),
	FUNCTION("xstrdup"),
	FUNCTION("xstrndup"),
	FUNCTION("xmemdup*"),
	FUNCTION("xasprintf"),
	FUNCTION("xvasprintf"),
	FUNCTION("safe_*alloc"),
	FUNCTION("checked_*alloc"),
	FUNCTION("zmalloc*"),
	FUNCTION("zcalloc*"),
	FUNCTION("zrealloc*"),
	FUNCTION("ztry*alloc*"),
	FUNCTION("zstrdup"),
	FUNCTION("emalloc"),
	FUNCTION("_emalloc*"),
	/* GLib */
	FUNCTION("g_*alloc*"),
	FUNCTION("g_slice_*"),
	FUNCTION("g_str*dup*"),
	FUNCTION("g_memdup*"),
	/* SQLite */
	FUNCTION("sqlite3Mem*"),
	FUNCTION("sqlite3*Malloc*"),
	FUNCTION("sqlite3*Realloc*"),
	FUNCTION("sqlite3?malloc*"),
	FUNCTION("sqlite3?realloc*"),
	FUNCTION("sqlite3DbStr*Dup"),
	FUNCTION("dbMallocRawFinish"),
	FUNCTION("mallocWithAlarm"),
	FUNCTION("pcache1Alloc"),
	/* Python */
	FUNCTION("PyMem_*"),
	FUNCTION("_PyMem_*"),
	FUNCTION("PyObject_Malloc"),
	FUNCTION("PyObject_Calloc"),
	FUNCTION("PyObject_Realloc"),
	FUNCTION("_PyObject_Malloc*"),
	FUNCTION("_PyObject_GC_*"),
	FUNCTION("PyObject_GC_*"),
	FUNCTION("PyType_GenericAlloc"),
	FUNCTION("gc_alloc"),
	/* OpenSSL, libuv, nginx, PostgreSQL, libevent, talloc, Ruby */
	FUNCTION("CRYPTO_*alloc*"),
	FUNCTION("CRYPTO_str*dup"),
	FUNCTION("CRYPTO_memdup"),
	FUNCTION("uv__*alloc*"),
	FUNCTION("ngx_alloc"),
	FUNCTION("ngx_calloc"),
	FUNCTION("palloc*"),
	FUNCTION("repalloc*"),
	FUNCTION("MemoryContextAlloc*"),
	FUNCTION("AllocSet*"),
	FUNCTION("event_mm_*"),
	FUNCTION("_talloc*"),
	FUNCTION("talloc_*"),
	FUNCTION("ruby_x*alloc*"),
	FUNCTION("objspace_x*alloc*"),
	/* Rust */
	FUNCTION("__rust_*alloc*"),
	FUNCTION("__rdl_*alloc*"),
	FUNCTION("alloc::*"),
	FUNCTION("<alloc::*"),
	FUNCTION("core::*"),
	FUNCTION("<core::*"),
	FUNCTION("<std::*"),
	FUNCTION("hashbrown::*"),
	FUNCTION("<hashbrown::*"),
};

const struct skip_list skip_builtin = { patterns, sizeof(patterns) / sizeof(*patterns) };
