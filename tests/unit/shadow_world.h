/* SPDX-License-Identifier: MIT */
/* A shadow region as the shim would leave it, written by hand: schema/shadow.h from the writer's side. */
#pragma once

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "schema/shadow.h"

struct shadow_world {
	int fd;
	uint32_t granule_shift;
	uint32_t n_leaves, n_modules, n_names;
};

static inline void shadow_poke(const struct shadow_world *world, const void *bytes, size_t n, uint64_t at)
{
	if (pwrite(world->fd, bytes, n, (off_t)at) != (ssize_t)n)
		__builtin_trap();
}

static inline void shadow_poke_u64(const struct shadow_world *world, uint64_t value, uint64_t at)
{
	shadow_poke(world, &value, sizeof(value), at);
}

#define SHADOW_POKE_HEADER(world, field, value_)                                                             \
	do {                                                                                                 \
		__typeof__(((struct shadow_header *)0)->field) poked_ = (value_);                            \
		shadow_poke(world, &poked_, sizeof(poked_), offsetof(struct shadow_header, field));          \
	} while (0)

static inline int64_t shadow_boot_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Made age_ms ago, attached at once in a mode; the stamp is that of now. */
static inline void shadow_world_make(
	struct shadow_world *world, uint32_t granule_shift, uint64_t control, uint64_t age_ms)
{
	struct timespec real;
	*world = (struct shadow_world) { .granule_shift = granule_shift };
	world->fd = memfd_create(SHADOW_NAME, MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (world->fd < 0 || ftruncate(world->fd, (off_t)SHADOW_FILE_BYTES) ||
		fcntl(world->fd, F_ADD_SEALS, SHADOW_SEALS))
		__builtin_trap();
	clock_gettime(CLOCK_REALTIME, &real);
	struct shadow_header header = {
		.magic = SHADOW_MAGIC,
		.version = SHADOW_VERSION,
		.state = SHADOW_READY,
		.granule_shift = granule_shift,
		.machine = 62,
		.leaves = 2048,
		.mapped_bytes = SHADOW_FILE_BYTES,
		.created_boot_ns = (uint64_t)shadow_boot_ns() - age_ms * 1000000,
		.created_real_ns =
			(uint64_t)real.tv_sec * 1000000000 + (uint64_t)real.tv_nsec - age_ms * 1000000,
		.pid = (uint32_t)getpid(),
		.control = control,
		.stamp = (uint64_t)shadow_epoch_at(age_ms) << SHADOW_EPOCH_SHIFT,
	};
	header.attached_boot_ns = header.created_boot_ns;
	shadow_poke(world, &header, sizeof(header), 0);
}

static inline uint64_t shadow_world_leaf(struct shadow_world *world, uint64_t addr)
{
	uint64_t region = addr >> SHADOW_REGION_SHIFT, word;

	for (uint32_t i = 0; i < world->n_leaves; i++) {
		if (pread(world->fd, &word, 8, (off_t)(SHADOW_LEAVES_AT + i * UINT64_C(8))) == 8 &&
			word == shadow_leaf_word(region))
			return i;
	}
	shadow_poke_u64(world, shadow_leaf_word(region), SHADOW_LEAVES_AT + world->n_leaves * UINT64_C(8));
	SHADOW_POKE_HEADER(world, leaves_used, world->n_leaves + 1);
	return world->n_leaves++;
}

/* Where the slot of an address is in the file. */
static inline uint64_t shadow_world_slot_at(struct shadow_world *world, uint64_t addr)
{
	uint64_t index = (addr & ((UINT64_C(1) << SHADOW_REGION_SHIFT) - 1)) >> world->granule_shift;
	return shadow_leaf_at(world->granule_shift, shadow_world_leaf(world, addr)) + index * 8;
}

static inline uint64_t shadow_slot_make(
	enum shadow_tag tag, uint32_t site, uint32_t epoch, uint64_t size, uint64_t flags)
{
	uint64_t near = size < SHADOW_SIZE_FAR ? size : SHADOW_SIZE_FAR;
	return (uint64_t)tag | flags | (uint64_t)site << SHADOW_SITE_SHIFT |
	       (uint64_t)epoch << SHADOW_EPOCH_SHIFT | near << SHADOW_SIZE_SHIFT;
}

/* A block, as malloc would record it. */
static inline void shadow_world_put(struct shadow_world *world, uint64_t addr, uint64_t size, uint32_t site,
	uint32_t epoch, uint64_t flags)
{
	uint64_t at = shadow_world_slot_at(world, addr);

	if (world->granule_shift == 5 && addr & 16)
		flags |= SHADOW_ODD;
	if (size >= SHADOW_SIZE_FAR)
		shadow_poke_u64(world, shadow_extension(size), at + 8);
	shadow_poke_u64(world, shadow_slot_make(SHADOW_BLOCK, site, epoch, size, flags), at);
}

static inline void shadow_world_put_sample(struct shadow_world *world, uint64_t addr, uint64_t size,
	uint32_t site, uint32_t epoch, uint32_t sample, uint64_t rate)
{
	struct shadow_sample made = {
		.number = sample + 2, .addr = addr, .size = size, .rate = rate, .site = site
	};
	shadow_poke(world, &made, sizeof(made), SHADOW_SAMPLES_AT + sample * sizeof(made));
	shadow_poke_u64(world, shadow_slot_make(SHADOW_SAMPLED, sample, epoch, 0, 0),
		shadow_world_slot_at(world, addr));
}

/* A module from 1, and a site in it. */
static inline uint32_t shadow_world_module(struct shadow_world *world, const char *path, uint64_t start)
{
	struct shadow_module module = {
		.ready = 1, .build_id_len = 20, .start = start, .end = start + 0x100000, .bias = start
	};
	memset(module.build_id, 0xab, 20);
	strncpy(module.path, path, sizeof(module.path) - 1);
	shadow_poke(world, &module, sizeof(module), SHADOW_MODULES_AT + world->n_modules * sizeof(module));
	SHADOW_POKE_HEADER(world, modules_used, ++world->n_modules);
	return world->n_modules;
}

static inline void shadow_world_site(
	const struct shadow_world *world, uint32_t site, uint64_t key, uint32_t module)
{
	struct shadow_site made = { .key = key, .about = module };
	shadow_poke(world, &made, sizeof(made), SHADOW_SITES_AT + site * sizeof(made));
}

static inline uint64_t shadow_world_name(struct shadow_world *world, const char *text)
{
	struct shadow_name name = { "" };
	strncpy(name.text, text, sizeof(name.text) - 1);
	shadow_poke(world, &name, sizeof(name), SHADOW_NAMES_AT + world->n_names * sizeof(name));
	SHADOW_POKE_HEADER(world, names_used, world->n_names + 1);
	return world->n_names++ | SHADOW_SITE_NAMED;
}
