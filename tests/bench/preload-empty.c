/* SPDX-License-Identifier: MIT */
/* A preload that does nothing but pass on: what it costs to be preloaded at all, for bench-preload. */
#include <dlfcn.h>
#include <stddef.h>

void *malloc(size_t size);
void free(void *block);
void *calloc(size_t n, size_t size);
void *realloc(void *block, size_t size);

static struct {
	void *(*malloc)(size_t size);
	void (*free)(void *block);
	void *(*calloc)(size_t n, size_t size);
	void *(*realloc)(void *block, size_t size);
} real;

static void resolve(void)
{
	real.malloc = dlsym(RTLD_NEXT, "malloc");
	real.free = dlsym(RTLD_NEXT, "free");
	real.calloc = dlsym(RTLD_NEXT, "calloc");
	real.realloc = dlsym(RTLD_NEXT, "realloc");
}

void *malloc(size_t size)
{
	if (__builtin_expect(!real.malloc, 0))
		resolve();
	return real.malloc(size);
}

void free(void *block)
{
	if (__builtin_expect(!real.malloc, 0))
		resolve();
	real.free(block);
}

void *calloc(size_t n, size_t size)
{
	if (__builtin_expect(!real.malloc, 0))
		resolve();
	return real.calloc(n, size);
}

void *realloc(void *block, size_t size)
{
	if (__builtin_expect(!real.malloc, 0))
		resolve();
	return real.realloc(block, size);
}
