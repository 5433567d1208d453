/* SPDX-License-Identifier: MIT */
#include "preload/module.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>

#include "preload/sys.h"

/* Weak: from glibc 2.35 on. */
#pragma weak _dl_find_object

static struct shadow_module *module_at(uint32_t module)
{
	return (struct shadow_module *)(shim.base + SHADOW_MODULES_AT) + (module - 1);
}

/* Whether [from, from + len) of the object's own addresses is in a segment that can be read. */
static bool is_readable(const ElfW(Phdr) * headers, size_t n, uint64_t from, uint64_t len)
{
	for (size_t i = 0; i < n; i++)
		if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_R) &&
			from >= headers[i].p_vaddr && len <= headers[i].p_filesz &&
			from - headers[i].p_vaddr <= headers[i].p_filesz - len)
			return true;
	return false;
}

/* The build id among notes, if it is there. */
static size_t note_build_id(const char *notes, size_t len, uint8_t *ret_id)
{
	while (len >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) note;
		size_t name, desc;

		memcpy(&note, notes, sizeof(note));
		name = ((size_t)note.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)note.n_descsz + 3) & ~(size_t)3;
		notes += sizeof(note);
		len -= sizeof(note);
		if (name > len || desc > len - name)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && !memcmp(notes, "GNU", 4)) {
			size_t copied =
				note.n_descsz < SHADOW_BUILD_ID_MAX ? note.n_descsz : SHADOW_BUILD_ID_MAX;
			memcpy(ret_id, notes + name, copied);
			return copied;
		}
		notes += name + desc;
		len -= name + desc;
	}
	return 0;
}

size_t module_build_id(const ElfW(Phdr) * headers, size_t n, uintptr_t bias, uint8_t *ret_id)
{
	for (size_t i = 0; i < n; i++) {
		size_t len;

		if (headers[i].p_type != PT_NOTE ||
			!is_readable(headers, n, headers[i].p_vaddr, headers[i].p_filesz))
			continue;
		len = note_build_id((const char *)(bias + headers[i].p_vaddr), headers[i].p_filesz, ret_id);
		if (len)
			return len;
	}
	return 0;
}

/* The program headers follow the ELF header in what is mapped first, or the object is left without a build
 * id. */
static void describe_elf(struct shadow_module *module)
{
	const ElfW(Ehdr) *elf = (const ElfW(Ehdr) *)module->start;

	if (module->end - module->start < 4096 || memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 ||
		elf->e_phentsize != sizeof(ElfW(Phdr)) ||
		elf->e_phoff > 4096 - elf->e_phnum * sizeof(ElfW(Phdr)) ||
		elf->e_phnum > 4096 / sizeof(ElfW(Phdr)))
		return;
	module->build_id_len = (uint32_t)module_build_id((const ElfW(Phdr) *)(module->start + elf->e_phoff),
		elf->e_phnum, module->bias, module->build_id);
}

/* The loader has no name for the program itself. */
static void describe_path(struct shadow_module *module, const char *name)
{
	if (name && name[0]) {
		size_t len = strnlen(name, sizeof(module->path));
		memcpy(module->path, name, len);
	} else if (!shim.sandboxed) {
		sys_readlink("/proc/self/exe", module->path, sizeof(module->path));
	}
}

static uint32_t module_add(const struct dl_find_object *object)
{
	uint64_t index = atomic_load_explicit(&shim.header->modules_used, memory_order_relaxed);
	struct shadow_module *module;

	do {
		if (index >= SHADOW_MODULES)
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(
		&shim.header->modules_used, &index, index + 1, memory_order_relaxed, memory_order_relaxed));
	module = module_at((uint32_t)index + 1);
	module->start = (uintptr_t)object->dlfo_map_start;
	module->end = (uintptr_t)object->dlfo_map_end;
	module->bias = object->dlfo_link_map->l_addr;
	describe_elf(module);
	describe_path(module, object->dlfo_link_map->l_name);
	atomic_store_explicit(&module->ready, 1, memory_order_release);
	return (uint32_t)index + 1;
}

uint32_t module_find(uintptr_t addr)
{
	struct dl_find_object object;
	uint64_t used;

	if (!_dl_find_object || _dl_find_object((void *)addr, &object))
		return 0;
	used = atomic_load_explicit(&shim.header->modules_used, memory_order_relaxed);
	/* From the last: where one was unloaded and another is in its place, the latter. */
	for (uint32_t module = used < SHADOW_MODULES ? (uint32_t)used : SHADOW_MODULES; module; module--) {
		struct shadow_module *known = module_at(module);

		if (atomic_load_explicit(&known->ready, memory_order_acquire) == 1 &&
			known->start == (uintptr_t)object.dlfo_map_start &&
			known->end == (uintptr_t)object.dlfo_map_end)
			return module;
	}
	return module_add(&object);
}

bool module_drop_gone(uint32_t module)
{
	struct shadow_module *known = module_at(module);
	struct dl_find_object object;
	uint32_t loaded = 1;

	if (atomic_load_explicit(&known->ready, memory_order_acquire) != 1 || !_dl_find_object)
		return false;
	if (!_dl_find_object((void *)known->start, &object) &&
		(uintptr_t)object.dlfo_map_start == known->start &&
		(uintptr_t)object.dlfo_map_end == known->end)
		return false;
	return atomic_compare_exchange_strong_explicit(
		&known->ready, &loaded, 2, memory_order_relaxed, memory_order_relaxed);
}
