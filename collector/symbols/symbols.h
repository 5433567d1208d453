/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses. Foreign ELF and DWARF is parsed by a child without rights, memfs-symbols, which may
 * die or hang over what it is given: it is started anew, and what it was asked is then unknown. It is started
 * at the first question and ends when nobody has asked for a while, so that an idle collector has none.
 *
 * module.h       which file is where in a process
 * symbols.h      the door: places to names, copies of stacks to places
 * wire.h         what collector and child say to each other
 * skip.h         wrappers that are not the caller a person looks for
 * suppress.h     suppression files of LeakSanitizer
 * noise.h        blocks that the runtime keeps to the end
 * folded.h       stacks as lines for flame-graph tools
 * child/         the child: the only code here that knows libdw
 *
 * Everything here may be called by several threads, but never by the loop's: it waits. What is waited for has
 * a time at which one gives up; the child goes on for a while, and who asks again finds what it found.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "collector/symbols/module.h"

struct symbols_options {
	const char *program; /* the child's; NULL: memfs-symbols beside this program */
	uid_t uid;           /* whom the child becomes, where this process is root */
	gid_t gid;
	size_t cache_max; /* symbols remembered; 0: SYMBOLS_CACHE */
	int question_ms;  /* what a question may take, or the child hangs; 0: ten seconds */
	int idle_ms;      /* after which the child ends; 0: half a minute */
};
enum { SYMBOLS_CACHE = 65536 };

/* 0 or -errno. Starts a thread, no process. */
int symbols_new(const struct symbols_options *options, struct symbols **ret_symbols);
/* Ends the child; nobody may ask any more. Modules and symbols outlive it. Takes NULL. */
void symbols_free(struct symbols *symbols);

/* --- places to names --- */

/* A function as the source has it. Texts are without control characters, cut with "…" at a length. */
struct symbol_frame {
	const char *function; /* demangled */
	const char *file;     /* NULL: no debug information */
	unsigned line;        /* 0: unknown */
};

/* What a place is: the functions inlined there, innermost first, last the one whose code it is. Immutable. */
struct symbol {
	unsigned n; /* 0: unknown */
	struct symbol_frame frame[];
};

struct symbol *symbol_ref(struct symbol *symbol); /* returns it */
void symbol_unref(struct symbol *symbol);         /* takes NULL */

/*
 * Stores the symbol of each place in ret_symbol[i], a reference each; NULL where nothing could be found out
 * until the time (CLOCK_MONOTONIC), or the child failed over it. A place that is in no symbol has one with
 * n = 0. Without .symtab it is the .dynsym symbol within whose size the place is.
 */
void symbols_resolve(struct symbols *symbols, const struct module_place *place, size_t n,
	int64_t until_monotonic_ns, struct symbol **ret_symbol);

/* --- copies of stacks to places --- */

enum { STACK_BYTES_MAX = 32768, STACK_FRAMES_MAX = 128, STACK_REGISTERS = 33 };

/* What a thread had at one instant, copied by itself. Untrusted. */
struct stack_copy {
	/* By DWARF number: x86-64 0 to 16 (7: rsp, 16: rip), aarch64 0 to 32 (31: sp, 32: pc). Those that a
	 * call may change are not used. The pc may be a return address. */
	uint64_t registers[STACK_REGISTERS];
	const uint8_t *bytes; /* from the stack pointer upwards */
	size_t n;             /* at most STACK_BYTES_MAX */
};

struct stack {
	unsigned n; /* 0: unknown */
	bool cut;   /* it goes on where the copy ends, or nobody knows how */
	/* Innermost first, callers as places of their calls. The modules are the table's, not counted. */
	struct module_place place[STACK_FRAMES_MAX];
};

/*
 * Unwinds copies taken in the process of the table, by .eh_frame and .debug_frame, by frame pointers where
 * there is none. Stacks that are not done by the time, or over which the child failed, have n = 0.
 */
void symbols_unwind(struct symbols *symbols, const struct module_table *table, const struct stack_copy *copy,
	size_t n, int64_t until_monotonic_ns, struct stack *ret_stack);

/* --- how it fares, for status and tests --- */

struct symbols_status {
	pid_t child;      /* 0: none */
	uint64_t started; /* children so far */
	uint64_t failed;  /* of them, died or ended over a question */
	uint64_t hits, misses, cached;
};
struct symbols_status symbols_status(struct symbols *symbols);
