/* SPDX-License-Identifier: MIT */
/*
 * The shadow region: where the shim (preload/) keeps what its process has allocated, and from where the
 * collector reads it. State, not events: each live block has one 8-byte slot, found by its address; malloc
 * stores it, free clears it before the block is given back, so whoever owns a block is the only writer of its
 * slot. Nothing is locked, sent, lost or put in order, and the table is whole at every instant, also after
 * SIGKILL.
 *
 * One region a process image, in a memfd named SHADOW_NAME:
 *
 *   offset              what; written by
 *   0                   struct shadow_header; both, a field has one writer
 *   SHADOW_LEAVES_AT    _Atomic uint64_t [SHADOW_LEAVES]: what each leaf covers; shim
 *   SHADOW_NAMES_AT     struct shadow_name [SHADOW_NAMES]; shim
 *   SHADOW_MODULES_AT   struct shadow_module [SHADOW_MODULES]; shim
 *   SHADOW_SITES_AT     struct shadow_site [SHADOW_SITES]; shim
 *   SHADOW_STACKS_AT    struct shadow_stack [SHADOW_STACKS], the ring; shim fills, collector empties
 *   SHADOW_SAMPLES_AT   struct shadow_sample [SHADOW_SAMPLES]; shim, but for `stack`
 *   SHADOW_DIRECTORY_AT the shim's way from an address to a leaf; shim, for itself alone
 *   SHADOW_KEEP_AT      SHADOW_KEEP_BYTES; collector and its successors, the shim does not map it
 *   SHADOW_SLOTS_AT     leaves of shadow_leaf_bytes() each; shim
 *
 * The file is sparse and of a fixed size: SHADOW_FILE_BYTES, or less where a limit of the process wants it
 * so. Read it with SEEK_DATA, SEEK_HOLE and pread: reading a hole through a mapping allocates it.
 *
 * WHAT A READER MUST CHECK, for the process can write anything anywhere, at any time (also while it is read,
 * so copy a word before checking it):
 *   - the file is a memfd (it has no link) with SHADOW_SEALS, or its pages could go away beneath a mapping;
 *   - shadow_header_fault() of a copy of the header;
 *   - a leaf's word: 0 is none (skip it, there may be later ones), else its region is <= SHADOW_REGION_LAST;
 *   - a slot whose epoch is below that of `attached` is none: it was left over;
 *   - one above the epoch of `stamp`, which is read after the slots, is of that epoch;
 *   - slot index < shadow_leaf_granules(), extension <= SHADOW_ADDRESS_LAST, and its tag is SHADOW_EXTENSION,
 *     or the slot was cut by a change: read again, and after some tries leave the block out;
 *   - site < SHADOW_SITES, sample < SHADOW_SAMPLES, module <= SHADOW_MODULES, name < SHADOW_NAMES: the masks
 *     of the accessors see to it; a sample's `addr` is the slot's address, or the slot was cut by a change;
 *   - text ends in its array or at its end; it may hold any bytes; lengths are at most their arrays'.
 *
 * Whatever is wrong harms what is known of that one process, and nothing else.
 *
 * TIME is the collector's: it advances `stamp` once a tick, and a block carries the epoch at which it was
 * made. So the shim asks no clock. Epochs count from `created_boot_ns`, in sixteenths of a second at first
 * and coarser later (shadow_epoch_ms). Of a region that no collector drives, all blocks are of epoch 0.
 *
 * DRIVING a region: the collector that swaps its shadow_owner() into `owner` (from 0, or from an owner that
 * is dead) writes control, stamp and attached; others read. To attach: stamp = the next epoch that the clock
 * allows, at least one more than it was; attached = stamp; attached_boot_ns; control. To detach: control = 0;
 * then holes may be punched into the leaves (never elsewhere) to give the memory back: what a late thread
 * still stores is older than the next attach. From one mode to another that is not off: control alone,
 * with SHADOW_MIXED once there was SHADOW_EXACT. All modes but off follow frees.
 *
 * FINDING a region. The shim offers it once: a datagram of struct shadow_offer with the memfd (SCM_RIGHTS),
 * without waiting, to each socket of SHADOW_SOCKET in $MEMFS_RUN, else in /run/memfs*. SOCK_DGRAM; with
 * SO_PASSCRED the receiver has the sender's pid in its own terms from the kernel, the pid in the offer is
 * what the process takes itself for. Whoever comes later finds it in /proc/PID/maps by SHADOW_NAME and opens
 * it in map_files. A process that runs another program leaves its region and makes a new one. Where there is
 * no region, struct shadow_beacon says why.
 *
 * HANDING one over (`memfs run`): memfd_create(SHADOW_NAME, MFD_ALLOW_SEALING), without MFD_CLOEXEC,
 * ftruncate to SHADOW_FILE_BYTES (getrlimit RLIMIT_FSIZE first: SIGXFSZ kills), add SHADOW_SEALS, give a
 * duplicate to the collector, put SHADOW_FD_VARIABLE=FD:INODE into the environment, exec. The shim takes it
 * if number, inode and seals agree and its state is SHADOW_EMPTY, and closes it: processes that inherit the
 * variable find another file there, or none, and make their own.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SHADOW_NAME         "memfs-shadow" /* of the memfd: "/memfd:memfs-shadow (deleted)" in maps */
#define SHADOW_SOCKET       "shim.sock"
#define SHADOW_LIBRARY      "libmemfs-preload.so"
#define SHADOW_MAGIC        UINT64_C(0x776f64616873666d) /* "mfshadow" */
#define SHADOW_BEACON_MAGIC UINT64_C(0x6e6f63616562666d) /* "mfbeacon" */
/* Of fcntl(F_ADD_SEALS): F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW. */
#define SHADOW_SEALS 0x7

/* What the shim looks at in the environment; none of it where AT_SECURE is set. */
#define SHADOW_TRACE_VARIABLE                                                                                \
	"MEMFS_TRACE" /* off, exact, sample [BYTES], stacks [BYTES]; from the first call on */
#define SHADOW_RUN_VARIABLE    "MEMFS_RUN"    /* the run directory to offer the region to */
#define SHADOW_FOLLOW_VARIABLE "MEMFS_FOLLOW" /* no: only the process that a region was handed to */
#define SHADOW_FD_VARIABLE     "MEMFS_SHADOW" /* FD:INODE of a region that was handed over */

enum {
	SHADOW_VERSION = 1,
	SHADOW_REGION_SHIFT = 26, /* a leaf covers 64 MiB of addresses, which begin at a multiple of that */
	SHADOW_GRANULE_SHIFT_MIN = 3,
	SHADOW_GRANULE_SHIFT_MAX = 5,
	SHADOW_LEAVES = 8192,
	SHADOW_NAMES = 4096,
	SHADOW_NAME_BYTES = 64,
	SHADOW_MODULES = 2048,
	SHADOW_SITES = 1 << 18,
	SHADOW_STACKS = 128,
	SHADOW_SAMPLES = 1 << 18,
	SHADOW_BUILD_ID_MAX = 32,
	SHADOW_REGISTERS =
		33, /* DWARF numbers: x86-64 0 to 16 (16: the return address), aarch64 0 to 32 (32: pc) */
	SHADOW_SAMPLE_BYTES = 512 << 10, /* the rate where none is said */
};

#define SHADOW_ADDRESS_LAST ((UINT64_C(1) << 48) - 1)
#define SHADOW_REGION_LAST  (SHADOW_ADDRESS_LAST >> SHADOW_REGION_SHIFT)

#define SHADOW_LEAVES_AT    UINT64_C(0x10000)
#define SHADOW_NAMES_AT     UINT64_C(0x100000)
#define SHADOW_MODULES_AT   UINT64_C(0x200000)
#define SHADOW_SITES_AT     UINT64_C(0x400000)
#define SHADOW_STACKS_AT    UINT64_C(0x800000)
#define SHADOW_SAMPLES_AT   UINT64_C(0x1000000)
#define SHADOW_DIRECTORY_AT UINT64_C(0x2000000)
#define SHADOW_KEEP_AT      UINT64_C(0x4000000)
#define SHADOW_KEEP_BYTES   UINT64_C(0x4000000)
#define SHADOW_SLOTS_AT     UINT64_C(0x8000000)
#define SHADOW_FILE_BYTES   (SHADOW_SLOTS_AT + (UINT64_C(1) << 37) + ((uint64_t)SHADOW_LEAVES << 12))

enum shadow_state {
	SHADOW_EMPTY,   /* all zero: made, and handed to a process that has not taken it yet */
	SHADOW_CLAIMED, /* a process took it and is writing the header */
	SHADOW_READY,
};

/* The low bits of `control`; from SHADOW_RATE_SHIFT on are the mean bytes between two samples. */
enum shadow_mode {
	SHADOW_OFF,
	SHADOW_EXACT,  /* every block */
	SHADOW_SAMPLE, /* blocks chosen at random, by bytes */
	SHADOW_STACK,  /* the same, with a copy of the stack of each */
	SHADOW_FOLLOW, /* no new ones; those on record until they are freed */
	N_SHADOW_MODES,
};
enum {
	SHADOW_MODE_MASK = 7,
	/* With SHADOW_SAMPLE and SHADOW_STACK: since the attach there was SHADOW_EXACT, so that any block may
	 * be on record. Without it the shim looks only where samples were taken. */
	SHADOW_MIXED = 1 << 3,
	SHADOW_RATE_SHIFT = 8,
};

/* Who wrote `control` last. */
enum shadow_driver { SHADOW_BY_NOBODY, SHADOW_BY_ENVIRONMENT, SHADOW_BY_PROGRAM, SHADOW_BY_COLLECTOR };

enum shadow_origin {
	SHADOW_OF_START,
	SHADOW_OF_FORK
}; /* in a child of fork the blocks it inherited have no slot */

struct shadow_header {
	/* Written before `state` is SHADOW_READY, and never again. */
	uint64_t magic;
	uint32_t version;
	_Atomic uint32_t state;   /* enum shadow_state */
	uint32_t granule_shift;   /* a slot is for 1 << granule_shift bytes of addresses */
	uint32_t machine;         /* EM_X86_64, EM_AARCH64: whose registers the stacks have */
	uint32_t origin;          /* enum shadow_origin */
	uint32_t allocator;       /* module, from 1, that serves malloc; 0: not known */
	uint64_t leaves;          /* that the process has room for, at most SHADOW_LEAVES */
	uint64_t mapped_bytes;    /* of its address space: what `vms` has too much */
	uint64_t created_boot_ns; /* CLOCK_BOOTTIME; epoch 0 */
	uint64_t created_real_ns; /* CLOCK_REALTIME at the same time */
	uint32_t pid;             /* in its own pid namespace */
	uint32_t padding;

	/* Written by who drives the region, read with every malloc. */
	_Atomic uint64_t control __attribute__((aligned(64))); /* shadow_control(); 0: off */
	_Atomic uint64_t stamp;                                /* the current epoch << SHADOW_EPOCH_SHIFT */
	_Atomic uint64_t attached;                             /* the stamp from which slots count */
	_Atomic uint64_t attached_boot_ns; /* CLOCK_BOOTTIME; 0 in a region that nobody drives */
	_Atomic uint64_t owner;            /* shadow_owner() of the driving collector, or 0 */
	_Atomic uint32_t driver;           /* enum shadow_driver */

	/* Written by the shim; all only grow, from the region's making on. */
	_Atomic uint64_t leaves_used __attribute__((aligned(64))); /* leaves beyond are untouched */
	_Atomic uint64_t modules_used, names_used;                 /* the same */
	_Atomic uint64_t sites_used;                               /* how many, anywhere in the table */
	_Atomic uint64_t
		sites_refused; /* calls from places that found the table full; their blocks have site 0 */
	_Atomic uint64_t uncovered_blocks; /* made where no leaf was left */
	_Atomic uint64_t uncovered_bytes;
	_Atomic uint64_t samples_refused; /* blocks chosen that found the table full */
	_Atomic uint64_t samples_made;    /* the last number given */
	_Atomic uint64_t stacks_next;     /* places taken in the ring, modulo SHADOW_STACKS */
	_Atomic uint64_t stacks_dropped;  /* samples whose place in the ring was not emptied in time */
	/* Blocks without a slot that were freed or resized while all were recorded: older than the attach, or
	 * of a time when frees were followed only. What of that kind is never freed cannot be counted. */
	_Atomic uint64_t older_freed;
};

/*
 * A slot:
 *   bits 0-1    enum shadow_tag; an empty slot is 0 altogether
 *   bit  2      kept: the program said it means to keep this block
 *   bit  3      the address has the bit below the granule set: granules of 32 bytes hold one block
 *   bits 4-21   site, or sample with SHADOW_SAMPLED; site 0: not known
 *   bits 22-45  epoch
 *   bits 46-63  size in bytes, as it was asked for; SHADOW_SIZE_FAR: in the next slot, an extension
 * An extension: bits 0-1 SHADOW_EXTENSION, bits 2-63 the size. A leaf has one slot more than granules for
 * that. It stays behind when its block is freed, and means nothing then. Of a sampled block the sample has
 * the size.
 */
enum shadow_tag { SHADOW_NONE, SHADOW_BLOCK, SHADOW_SAMPLED, SHADOW_EXTENSION };
enum {
	SHADOW_TAG_MASK = 3,
	SHADOW_KEPT = 1 << 2,
	SHADOW_ODD = 1 << 3,
	SHADOW_SITE_SHIFT = 4,
	SHADOW_EPOCH_SHIFT = 22,
	SHADOW_EPOCH_LAST = (1 << 24) - 1,
	SHADOW_SIZE_SHIFT = 46,
	SHADOW_SIZE_FAR = (1 << 18) - 1,
	SHADOW_EXTENSION_SHIFT = 2,
};

/* A place in the code that allocates, or a name that the program gave. The table is found by hash; a site's
 * number is its index, and it stays. Site 0 is never used. */
struct shadow_site {
	_Atomic uint64_t
		key; /* 0: none. Bits 0-61: return address, or index of the name with SHADOW_SITE_NAMED */
	_Atomic uint64_t
		about; /* bits 0-15: module, from 1; 0: not known (yet). The rest is the shim's own */
};
#define SHADOW_SITE_NAMED (UINT64_C(1) << 62)
#define SHADOW_SITE_GONE                                                                                     \
	(UINT64_C(1) << 63) /* its module was unloaded: the address may be another's by now */
#define SHADOW_SITE_ADDRESS (SHADOW_SITE_NAMED - 1)

static inline uint32_t shadow_site_module(uint64_t about)
{
	return about & 0xffff;
}

/* UTF-8 or what the program took for it, cut at a byte; ends with NUL. */
struct shadow_name {
	char text[SHADOW_NAME_BYTES];
};

/* A loaded object that sites are in, as it was when the first of them was seen. */
struct shadow_module {
	_Atomic uint32_t ready; /* 0: not whole; 1: loaded; 2: unloaded since */
	uint32_t build_id_len;  /* 0: it has none */
	uint64_t start, end;    /* addresses of its segments */
	uint64_t bias;          /* address - address in the file's program headers */
	uint8_t build_id[SHADOW_BUILD_ID_MAX];
	char path[1024 - 64]; /* as the loader has it, ends with NUL where it fits; the program's own as in
				 /proc/self/exe */
};

/*
 * A block chosen at random. The chance of a block is 1 - exp(-size / rate), so it stands for size / chance
 * bytes and 1 / chance blocks; sums of these have no bias.
 */
struct shadow_sample {
	_Atomic uint64_t number; /* 0: free, 1: being written, else from samples_made, never the same twice */
	uint64_t addr;
	uint64_t size; /* bytes */
	uint64_t rate; /* bytes, as it was when the block was chosen */
	uint32_t site;
	uint32_t padding;
	_Atomic uint64_t stack; /* for the collector: what it found out by the stack; low half: low half of
				   the number it is for */
	uint64_t unused[2];
};

/* A copied stack, for the collector to unwind: `bytes` from the stack pointer up. */
struct shadow_stack {
	_Atomic uint64_t
		number; /* 0: free (the collector says so), 1: being written, else that of the sample */
	uint32_t sample;
	uint32_t len; /* of bytes; 0: the thread's stack is not one whose end is known, registers only */
	uint64_t registers[SHADOW_REGISTERS]; /* what a caller may rely on: stack pointer, pc, callee-saved */
	uint8_t bytes[(32 << 10) - 16 - SHADOW_REGISTERS * 8];
};

/* Why a process that has the shim has no region. */
enum shadow_reason {
	SHADOW_FINE,        /* it has one */
	SHADOW_NOT_STARTED, /* nothing was allocated yet */
	SHADOW_SECURE,      /* AT_SECURE: it has rights that its starter has not */
	SHADOW_SANITIZER,   /* ASan, LSan, MSan or TSan has the allocator */
	SHADOW_OWN,         /* the program brings a malloc of its own, which comes before the shim's */
	SHADOW_SECCOMP,     /* a filter of system calls, and no region was handed over */
	SHADOW_OVERCOMMIT,  /* vm.overcommit_memory is 2: a page that is refused would kill the process */
	SHADOW_NO_MEMORY,   /* limits of the process leave no room: RLIMIT_AS, RLIMIT_FSIZE */
	SHADOW_NO_FILE,     /* memfd_create or its like failed; `error` says how */
	SHADOW_UNFOLLOWED,  /* SHADOW_FOLLOW_VARIABLE is no, and nothing was handed over */
	N_SHADOW_REASONS,
};

/* Stands at the start of a page of the shim's own data, a private writable mapping of SHADOW_LIBRARY, and has
 * the dynamic symbol memfs_beacon. Read it through /proc/PID/mem. */
struct shadow_beacon {
	uint64_t magic; /* SHADOW_BEACON_MAGIC */
	uint32_t version;
	_Atomic uint32_t reason; /* enum shadow_reason */
	_Atomic uint32_t error;  /* errno, or 0 */
	_Atomic uint32_t pid;    /* whose region it is; of a child by clone(2) that shares it, another's */
	_Atomic uint64_t region_addr; /* of the header's mapping, or 0 */
	_Atomic uint64_t region_inode;
};

struct shadow_offer {
	uint64_t magic; /* SHADOW_MAGIC */
	uint32_t version;
	uint32_t origin; /* enum shadow_origin */
	uint64_t inode;  /* of the memfd that comes with it */
	uint32_t pid;    /* in the sender's pid namespace */
	uint32_t padding;
};

_Static_assert(sizeof(struct shadow_header) <= SHADOW_LEAVES_AT, "the header has its room");
_Static_assert(SHADOW_LEAVES_AT + SHADOW_LEAVES * 8 <= SHADOW_NAMES_AT, "leaves have their room");
_Static_assert(
	SHADOW_NAMES_AT + SHADOW_NAMES * sizeof(struct shadow_name) <= SHADOW_MODULES_AT, "so do names");
_Static_assert(
	sizeof(struct shadow_module) == 1024 && SHADOW_MODULES_AT + SHADOW_MODULES * 1024 == SHADOW_SITES_AT,
	"modules");
_Static_assert(
	sizeof(struct shadow_site) == 16 && SHADOW_SITES_AT + SHADOW_SITES * 16 == SHADOW_STACKS_AT, "sites");
_Static_assert(sizeof(struct shadow_stack) == 32 << 10 &&
		       SHADOW_STACKS_AT + SHADOW_STACKS * (32 << 10) <= SHADOW_SAMPLES_AT,
	"stacks");
_Static_assert(
	sizeof(struct shadow_sample) == 64 && SHADOW_SAMPLES_AT + SHADOW_SAMPLES * 64 <= SHADOW_DIRECTORY_AT,
	"samples");
_Static_assert(SHADOW_DIRECTORY_AT + (SHADOW_REGION_LAST + 1) * 8 <= SHADOW_KEEP_AT, "the directory");
_Static_assert(sizeof(struct shadow_offer) == 32, "no holes on the wire");

/* A leaf's word: the addresses from region << SHADOW_REGION_SHIFT on; 0 is no leaf. */
static inline uint64_t shadow_leaf_word(uint64_t region)
{
	return region + 1;
}

/* Meaningless for the word 0; check against SHADOW_REGION_LAST. */
static inline uint64_t shadow_leaf_region(uint64_t word)
{
	return word - 1;
}

static inline uint64_t shadow_leaf_granules(uint32_t granule_shift)
{
	return UINT64_C(1) << (SHADOW_REGION_SHIFT - granule_shift);
}

/* A leaf in the file: its slots, one more for an extension, up to a whole page. */
static inline uint64_t shadow_leaf_bytes(uint32_t granule_shift)
{
	return shadow_leaf_granules(granule_shift) * 8 + 4096;
}

static inline uint64_t shadow_leaf_at(uint32_t granule_shift, uint64_t leaf)
{
	return SHADOW_SLOTS_AT + leaf * shadow_leaf_bytes(granule_shift);
}

static inline enum shadow_tag shadow_slot_tag(uint64_t slot)
{
	return (enum shadow_tag)(slot & SHADOW_TAG_MASK);
}

/* < SHADOW_SITES, and < SHADOW_SAMPLES where that is what it means. */
static inline uint32_t shadow_slot_site(uint64_t slot)
{
	return (uint32_t)(slot >> SHADOW_SITE_SHIFT) & (SHADOW_SITES - 1);
}

static inline uint32_t shadow_slot_epoch(uint64_t slot)
{
	return (uint32_t)(slot >> SHADOW_EPOCH_SHIFT) & SHADOW_EPOCH_LAST;
}

/* Bytes; SHADOW_SIZE_FAR: see the extension. */
static inline uint32_t shadow_slot_size(uint64_t slot)
{
	return (uint32_t)(slot >> SHADOW_SIZE_SHIFT);
}

static inline uint64_t shadow_slot_addr(
	uint32_t granule_shift, uint64_t region, uint64_t index, uint64_t slot)
{
	return (region << SHADOW_REGION_SHIFT) + (index << granule_shift) +
	       (slot & SHADOW_ODD ? UINT64_C(1) << (granule_shift - 1) : 0);
}

static inline uint64_t shadow_extension(uint64_t size_bytes)
{
	return size_bytes << SHADOW_EXTENSION_SHIFT | SHADOW_EXTENSION;
}

static inline uint64_t shadow_extension_size(uint64_t extension)
{
	return extension >> SHADOW_EXTENSION_SHIFT;
}

static inline uint64_t shadow_control(enum shadow_mode mode, uint64_t rate_bytes)
{
	return (uint64_t)mode | rate_bytes << SHADOW_RATE_SHIFT;
}

/* May be any number up to SHADOW_MODE_MASK: check against N_SHADOW_MODES. */
static inline uint32_t shadow_control_mode(uint64_t control)
{
	return control & SHADOW_MODE_MASK;
}

static inline uint64_t shadow_control_rate(uint64_t control)
{
	return control >> SHADOW_RATE_SHIFT;
}

/* A collector: its pid and the 22nd field of its /proc/PID/stat, which no two processes of a boot share. */
static inline uint64_t shadow_owner(uint32_t pid, uint64_t start_ticks)
{
	return (uint64_t)pid << 42 | (start_ticks & ((UINT64_C(1) << 42) - 1));
}

static inline uint32_t shadow_owner_pid(uint64_t owner)
{
	return (uint32_t)(owner >> 42);
}

static inline uint64_t shadow_owner_start_ticks(uint64_t owner)
{
	return owner & ((UINT64_C(1) << 42) - 1);
}

/*
 * Epochs and milliseconds since created_boot_ns. Sixteenths of a second for three days, then seconds for
 * forty-eight, then sixteen seconds for four years, then the last one for ever. Both only grow, and each
 * epoch begins at its shadow_epoch_ms.
 */
enum { SHADOW_EPOCH_FINE = 1 << 22, SHADOW_EPOCH_MIDDLE = 1 << 23 };

static inline uint64_t shadow_epoch_ms(uint32_t epoch)
{
	uint64_t fine = epoch < SHADOW_EPOCH_FINE ? epoch : SHADOW_EPOCH_FINE;
	uint64_t middle = epoch <= SHADOW_EPOCH_FINE    ? 0
			  : epoch < SHADOW_EPOCH_MIDDLE ? epoch - SHADOW_EPOCH_FINE
							: SHADOW_EPOCH_MIDDLE - SHADOW_EPOCH_FINE;
	uint64_t coarse = epoch <= SHADOW_EPOCH_MIDDLE ? 0 : epoch - SHADOW_EPOCH_MIDDLE;
	uint64_t sixteenths = fine + middle * 16 + coarse * 256;
	return (sixteenths * 125 + 1) / 2; /* 62.5 ms, rounded up: shadow_epoch_at of it is the epoch again */
}

static inline uint32_t shadow_epoch_at(uint64_t ms)
{
	const uint64_t middle = (uint64_t)(SHADOW_EPOCH_MIDDLE - SHADOW_EPOCH_FINE) * 16;
	uint64_t left = ms > UINT64_MAX / 2 ? UINT64_MAX / 125 : ms * 2 / 125;
	if (left < SHADOW_EPOCH_FINE)
		return (uint32_t)left;
	left -= SHADOW_EPOCH_FINE;
	if (left < middle)
		return SHADOW_EPOCH_FINE + (uint32_t)(left / 16);
	left = (left - middle) / 256;
	return left < SHADOW_EPOCH_LAST - SHADOW_EPOCH_MIDDLE ? SHADOW_EPOCH_MIDDLE + (uint32_t)left
							      : SHADOW_EPOCH_LAST;
}

/*
 * Why a region of file_bytes whose header was copied to `header` cannot be read; NULL: it can. A region that
 * is not ready yet is one of these: ask again later.
 */
static inline const char *shadow_header_fault(const struct shadow_header *header, uint64_t file_bytes)
{
	if (header->state != SHADOW_READY)
		return "not ready";
	if (header->magic != SHADOW_MAGIC)
		return "not a shadow region";
	if (header->version != SHADOW_VERSION)
		return "of another version";
	if (header->granule_shift < SHADOW_GRANULE_SHIFT_MIN ||
		header->granule_shift > SHADOW_GRANULE_SHIFT_MAX)
		return "granules of no known size";
	if (header->leaves > SHADOW_LEAVES || file_bytes < SHADOW_SLOTS_AT ||
		(file_bytes - SHADOW_SLOTS_AT) / shadow_leaf_bytes(header->granule_shift) < header->leaves)
		return "more leaves than its file";
	return NULL;
}
