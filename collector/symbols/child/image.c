/* SPDX-License-Identifier: MIT */
#include "collector/symbols/child/image.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/symbols/child/debug_file.h"
#include "collector/symbols/child/image_lines.h"
#include "collector/symbols/child/image_symbols.h"
#include "schema/base/cleanup.h"

static unsigned read_loads(Elf *elf, struct wire_load ret_load[static WIRE_LOADS_MAX])
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned n_loads = 0;
	GElf_Phdr phdr;
	size_t n;

	if (elf_getphdrnum(elf, &n))
		return 0;
	for (size_t i = 0; i < n && n_loads < WIRE_LOADS_MAX; i++) {
		if (!gelf_getphdr(elf, (int)i, &phdr))
			break;
		if (phdr.p_type != PT_LOAD)
			continue;
		/* Mapped in whole pages, so what stands around a segment in the file is there as well. */
		uint64_t before = phdr.p_offset % page;
		ret_load[n_loads++] = (struct wire_load) { phdr.p_offset - before,
			(phdr.p_filesz + before + page - 1) / page * page, phdr.p_vaddr - before,
			phdr.p_flags & PF_X };
	}
	return n_loads;
}

unsigned image_init(struct image *image, int fd, struct wire_identity *ret,
	struct wire_load ret_load[static WIRE_LOADS_MAX])
{
	unsigned n_loads = 0;
	struct stat st;
	GElf_Ehdr ehdr;
	const void *id;

	*image = (struct image) { .fd = fd };
	*ret = (struct wire_identity) { 0 };
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &ehdr)) {
		ret->machine = image->machine = ehdr.e_machine;
		n_loads = read_loads(elf, ret_load);
		ssize_t n = dwelf_elf_gnu_build_id(elf, &id);
		if (n > 0 && n <= WIRE_ID_MAX) {
			ret->id_n = (uint32_t)n;
			memcpy(ret->id, id, (size_t)n);
		}
	}
	elf_end(elf);
	return n_loads;
}

void image_forget(struct image *image)
{
	image_symbols_free(image->symbols);
	image_lines_free(image->lines);
	if (image->dwfl)
		dwfl_end(image->dwfl);
	image->symbols = NULL;
	image->lines = NULL;
	image->dwfl = NULL;
	image->module = NULL;
	image->tried = false;
}

void image_deinit(struct image *image)
{
	image_forget(image);
	close_fd(&image->fd);
	*image = (struct image) { .fd = -1 };
}

static void prepare(struct image *image)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = debug_file_no_elf,
		.find_debuginfo = debug_file_find,
		.section_address = dwfl_offline_section_address,
	};
	GElf_Addr bias;

	image->tried = true;
	int fd = image->machine ? fcntl(image->fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd < 0)
		return;
	image->dwfl = dwfl_begin(&callbacks);
	if (image->dwfl) {
		dwfl_report_begin(image->dwfl);
		image->module = dwfl_report_elf(image->dwfl, "module", "", fd, 0, true);
		dwfl_report_end(image->dwfl, NULL, NULL);
	}
	if (!image->module) {
		close(fd);
		return;
	}
	if (!dwfl_module_getelf(image->module, &bias)) {
		image->module = NULL;
		return;
	}
	image->bias = bias;
	image->lines = image_lines_new(image->module, image->bias);
	image->symbols = image_symbols_new(image->module, image->bias);
}

void image_resolve(struct image *image, uint64_t address, struct buf *texts, struct wire_symbol *ret)
{
	*ret = (struct wire_symbol) { 0 };
	buf_clear(texts);
	if (!image->tried)
		prepare(image);
	image_lines_find(image->lines, address, image_symbols_find(image->symbols, address), texts, ret);
}
