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

enum { LOADS_MAX = 64, PAGE = 4096 };

static void read_loads(struct image *image, Elf *elf)
{
	size_t n;
	GElf_Phdr phdr;

	if (elf_getphdrnum(elf, &n) || !n)
		return;
	image->load = calloc(n < LOADS_MAX ? n : LOADS_MAX, sizeof(*image->load));
	for (size_t i = 0; image->load && i < n && image->n_loads < LOADS_MAX; i++) {
		if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_type != PT_LOAD)
			continue;
		/* Mapped in whole pages, so what stands around a segment in the file is there as well. */
		uint64_t before = phdr.p_offset % PAGE;
		image->load[image->n_loads++] = (struct image_load) { phdr.p_offset - before,
			(phdr.p_filesz + before + PAGE - 1) / PAGE * PAGE, phdr.p_vaddr - before,
			phdr.p_flags & PF_X };
	}
}

static void read_id(struct image *image, Elf *elf)
{
	const void *id;
	ssize_t n = dwelf_elf_gnu_build_id(elf, &id);

	if (n > 0) {
		image->id_n = n < WIRE_ID_MAX ? (unsigned)n : WIRE_ID_MAX;
		memcpy(image->id, id, image->id_n);
	}
}

void image_init(struct image *image, int fd)
{
	struct stat st;
	GElf_Ehdr ehdr;

	*image = (struct image) { .fd = fd };
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &ehdr)) {
		image->machine = ehdr.e_machine;
		read_loads(image, elf);
		read_id(image, elf);
	}
	elf_end(elf);
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
	free(image->load);
	close_fd(&image->fd);
	*image = (struct image) { .fd = -1 };
}

bool image_address(const struct image *image, uint64_t offset, uint64_t *ret_address)
{
	const struct image_load *found = NULL;

	for (size_t i = 0; i < image->n_loads; i++) {
		const struct image_load *load = &image->load[i];
		if (offset >= load->offset && offset - load->offset < load->size && (!found || load->code))
			found = load;
	}
	if (!found)
		return false;
	*ret_address = found->address + (offset - found->offset);
	return true;
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

void image_resolve(struct image *image, uint64_t offset, struct buf *texts, struct wire_symbol *ret)
{
	*ret = (struct wire_symbol) { 0 };
	buf_clear(texts);
	if (!image->tried)
		prepare(image);
	if (!image_address(image, offset, &ret->address))
		return;
	const char *name = image_symbols_find(image->symbols, ret->address);
	image_lines_find(image->lines, ret->address, name, texts, ret);
}
