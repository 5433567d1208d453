/* SPDX-License-Identifier: MIT */
/*
 * What the collector and its child say to each other: packets over a SEQPACKET pair, a head and what the head
 * says follows. One question is under way at a time. Both are of one build, so numbers are the machine's own;
 * yet the child may have been taken over by what it parses, so its answers are input like any other. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"

enum {
	WIRE_VERSION = 1,
	WIRE_PACKET_MAX = 60000,  /* what the kernel's buffer of a socket holds in any case */
	WIRE_SLOTS = 1024,        /* modules that the child has open */
	WIRE_SPACES = 8,          /* tables of modules that it remembers */
	WIRE_ADDRESSES_MAX = 512, /* in one question */
	WIRE_MODULES_MAX = 1024,
	WIRE_LOADS_MAX = 64,
	WIRE_REGISTERS = 33, /* by DWARF number */
	WIRE_STACK_MAX = 32768,
	WIRE_FRAMES_MAX = 128,
	WIRE_INLINED_MAX = 32, /* functions at one place */
	WIRE_ID_MAX = 32,
	WIRE_FUNCTION_MAX = 1024, /* bytes of a name; what is longer is cut */
	WIRE_FILE_MAX = 512,
	WIRE_SOCKET = 3, /* the child's descriptor */
};

enum wire_op {
	WIRE_READY,   /* child, once: `number` is its WIRE_VERSION */
	WIRE_OPEN,    /* `number`: a slot, which the descriptor that comes along is for; WIRE_OPENED */
	WIRE_OPENED,  /* what it is; `count` loads */
	WIRE_RESOLVE, /* `number`: a slot; `count` addresses; WIRE_SYMBOLS until all are answered */
	WIRE_SYMBOLS, /* `number`: of the first address; `count` symbols */
	WIRE_CLOSE,   /* `number`: a slot, which is empty then; no answer */
	WIRE_SPACE,   /* `number`: a space; `count` modules of it; no answer */
	WIRE_UNWIND,  /* `number`: a space; `count` bytes of a stack behind its registers; WIRE_STACK */
	WIRE_STACK,   /* `number`: 1 where it is cut; `count` addresses, innermost first */
	N_WIRE_OPS
};

struct wire_head {
	uint32_t op, number, count, sequence; /* an answer has the sequence of its question */
};

/* Takes the head off a packet whose length its count allows. False for any other. */
bool wire_take_head(const uint8_t **at, size_t *n, struct wire_head *ret);
void wire_put_head(struct buf *out, const struct wire_head *head);

/* What a file is, at the head of WIRE_OPENED. */
struct wire_identity {
	uint32_t machine; /* EM_*; 0: no ELF file */
	uint32_t id_n;
	uint8_t id[WIRE_ID_MAX];
};

/* What is mapped from where: a program header, in whole pages. */
struct wire_load {
	uint64_t offset, size, address;
	uint64_t code; /* 1: executable */
};

/* For WIRE_SPACE. */
struct wire_module {
	uint64_t slot;
	uint64_t bias; /* of the process's addresses to the file's own */
};

/* At the head of WIRE_UNWIND. */
struct wire_registers {
	uint64_t value[WIRE_REGISTERS];
};

struct wire_frame {
	const char *function, *file; /* not NUL-terminated; file NULL: unknown */
	uint16_t function_n, file_n;
	uint32_t line;
};

struct wire_symbol {
	unsigned n;
	struct wire_frame frame[WIRE_INLINED_MAX];
};

void wire_put_symbol(struct buf *out, const struct wire_symbol *symbol);

/* Takes a symbol off the rest of a packet, into which its texts point. False where none is whole. */
bool wire_take_symbol(const uint8_t **at, size_t *n, struct wire_symbol *ret);
