/* SPDX-License-Identifier: MIT */
/*
 * operator new and delete, so that a block's caller is who wrote `new` and not the C++ library. What they do
 * is left to the next ones in the order of search, new handlers and exceptions included. Where those come by
 * malloc, as the C++ library's do, the block is on record already and only gets another site; where they are
 * the allocator's own, as those of tcmalloc, they are hooks like malloc and free.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>

#include "preload/control.h"

struct operator
{
	_Atomic(void *) real;
	bool is_allocator; /* does not come by malloc and free; written before `real` */
};

enum {
	NEW,
	NEW_ARRAY,
	NEW_NOTHROW,
	NEW_ARRAY_NOTHROW,
	NEW_ALIGN,
	NEW_ARRAY_ALIGN,
	NEW_ALIGN_NOTHROW,
	NEW_ARRAY_ALIGN_NOTHROW,
	DELETE,
	DELETE_ARRAY,
	DELETE_SIZE,
	DELETE_ARRAY_SIZE,
	DELETE_NOTHROW,
	DELETE_ARRAY_NOTHROW,
	DELETE_ALIGN,
	DELETE_ARRAY_ALIGN,
	DELETE_SIZE_ALIGN,
	DELETE_ARRAY_SIZE_ALIGN,
	DELETE_ALIGN_NOTHROW,
	DELETE_ARRAY_ALIGN_NOTHROW,
	N_OPERATORS,
};

static struct operator operators[N_OPERATORS];

#pragma weak _dl_find_object

/* A library that was loaded for itself alone brings a C++ library that the shim does not see: by way of the
 * caller. */
static void *find_by_caller(const char *symbol, uintptr_t caller)
{
	struct dl_find_object object;
	void *handle, *found = NULL;

	if (!_dl_find_object || _dl_find_object((void *)caller, &object))
		return NULL;
	handle = dlopen(object.dlfo_link_map->l_name, RTLD_LAZY | RTLD_NOLOAD);
	if (handle) {
		found = dlsym(handle, symbol);
		dlclose(handle);
	}
	return found;
}

static bool is_of_allocator(const void *function)
{
	Dl_info info, allocator;

	return dladdr(function, &info) && dladdr((const void *)shim.below.malloc, &allocator) &&
	       info.dli_fbase == allocator.dli_fbase;
}

/* Without any, what they would do for a program that has no new handler, but for the exception. */
static void *fallback_new(size_t size)
{
	return malloc(size ? size : 1);
}

static cold void *operator_find(int which, const char *symbol, uintptr_t caller)
{
	struct operator* operator= & operators[which];
	void *real = dlsym(RTLD_NEXT, symbol);

	if (!real)
		real = find_by_caller(symbol, caller);
	dlerror(); /* what was not found is no error of the program */
	if (!real)
		return which < DELETE ? (void *)fallback_new : (void *)free;
	if (!start_resolve()) /* the allocator uses it for itself while it is asked for */
		return real;
	operator->is_allocator = is_of_allocator(real);
	atomic_store_explicit(&operator->real, real, memory_order_release);
	return real;
}

static inline void *operator_get(int which, const char *symbol, uintptr_t caller)
{
	void *real = atomic_load_explicit(&operators[which].real, memory_order_acquire);

	return likely(real != NULL) ? real : operator_find(which, symbol, caller);
}

static __attribute__((noinline)) void note_new(
	void *block, size_t size, uintptr_t caller, uint64_t control, bool is_allocator)
{
	if (is_allocator)
		control_note(block, size, caller, control);
	else if (control_is_exact(control) ||
		 (control_is_sampling(control) && control_may_have(block, control)))
		record_attribute(block, site_find(caller));
}

static __attribute__((noinline)) void note_delete(void *block, uint64_t control)
{
	if (control_may_have(block, control))
		record_forget_slowly(block);
}

/* The parts in parentheses are a parameter list and the arguments for it. */
#define OPERATOR_NEW(which, symbol, parameters, arguments)                                                   \
	extern void *operator_##which parameters __asm__(symbol) exported;                                   \
	void *operator_##which parameters                                                                    \
	{                                                                                                    \
		void *(*real)parameters = operator_get(which, symbol, CALLER);                               \
		uint64_t control = control_settle(control_get());                                            \
		void *block;                                                                                 \
                                                                                                             \
		if (likely(!control))                                                                        \
			return real arguments;                                                               \
		block = real arguments;                                                                      \
		note_new(block, size, CALLER, control, operators[which].is_allocator);                       \
		return block;                                                                                \
	}

#define OPERATOR_DELETE(which, symbol, parameters, arguments)                                                \
	extern void operator_##which parameters __asm__(symbol) exported;                                    \
	void operator_##which parameters                                                                     \
	{                                                                                                    \
		void(*real) parameters = operator_get(which, symbol, CALLER);                                \
                                                                                                             \
		if (unlikely(operators[which].is_allocator))                                                 \
			note_delete(block, control_get());                                                   \
		real arguments;                                                                              \
	}

OPERATOR_NEW(NEW, "_Znwm", (size_t size), (size))
OPERATOR_NEW(NEW_ARRAY, "_Znam", (size_t size), (size))
OPERATOR_NEW(NEW_NOTHROW, "_ZnwmRKSt9nothrow_t", (size_t size, const void *nothrow), (size, nothrow))
OPERATOR_NEW(NEW_ARRAY_NOTHROW, "_ZnamRKSt9nothrow_t", (size_t size, const void *nothrow), (size, nothrow))
OPERATOR_NEW(NEW_ALIGN, "_ZnwmSt11align_val_t", (size_t size, size_t align), (size, align))
OPERATOR_NEW(NEW_ARRAY_ALIGN, "_ZnamSt11align_val_t", (size_t size, size_t align), (size, align))
OPERATOR_NEW(NEW_ALIGN_NOTHROW, "_ZnwmSt11align_val_tRKSt9nothrow_t",
	(size_t size, size_t align, const void *nothrow), (size, align, nothrow))
OPERATOR_NEW(NEW_ARRAY_ALIGN_NOTHROW, "_ZnamSt11align_val_tRKSt9nothrow_t",
	(size_t size, size_t align, const void *nothrow), (size, align, nothrow))

OPERATOR_DELETE(DELETE, "_ZdlPv", (void *block), (block))
OPERATOR_DELETE(DELETE_ARRAY, "_ZdaPv", (void *block), (block))
OPERATOR_DELETE(DELETE_SIZE, "_ZdlPvm", (void *block, size_t size), (block, size))
OPERATOR_DELETE(DELETE_ARRAY_SIZE, "_ZdaPvm", (void *block, size_t size), (block, size))
OPERATOR_DELETE(DELETE_NOTHROW, "_ZdlPvRKSt9nothrow_t", (void *block, const void *nothrow), (block, nothrow))
OPERATOR_DELETE(
	DELETE_ARRAY_NOTHROW, "_ZdaPvRKSt9nothrow_t", (void *block, const void *nothrow), (block, nothrow))
OPERATOR_DELETE(DELETE_ALIGN, "_ZdlPvSt11align_val_t", (void *block, size_t align), (block, align))
OPERATOR_DELETE(DELETE_ARRAY_ALIGN, "_ZdaPvSt11align_val_t", (void *block, size_t align), (block, align))
OPERATOR_DELETE(DELETE_SIZE_ALIGN, "_ZdlPvmSt11align_val_t", (void *block, size_t size, size_t align),
	(block, size, align))
OPERATOR_DELETE(DELETE_ARRAY_SIZE_ALIGN, "_ZdaPvmSt11align_val_t", (void *block, size_t size, size_t align),
	(block, size, align))
OPERATOR_DELETE(DELETE_ALIGN_NOTHROW, "_ZdlPvSt11align_val_tRKSt9nothrow_t",
	(void *block, size_t align, const void *nothrow), (block, align, nothrow))
OPERATOR_DELETE(DELETE_ARRAY_ALIGN_NOTHROW, "_ZdaPvSt11align_val_tRKSt9nothrow_t",
	(void *block, size_t align, const void *nothrow), (block, align, nothrow))
