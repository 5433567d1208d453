/* SPDX-License-Identifier: MIT */
#include "preload/refuse.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "preload/sys.h"

/* The shim's own malloc by a name that nobody else can take; tests are without. */
extern void *hooks_malloc(size_t size) hidden __attribute__((weak));

int refuse_seccomp_parse(const char *text, size_t len)
{
	static const char key[] = "\nSeccomp:\t";
	const char *found = memmem(text, len, key, sizeof(key) - 1);

	if (!found || found + sizeof(key) - 1 >= text + len)
		return -1;
	found += sizeof(key) - 1;
	return *found >= '0' && *found <= '9' ? *found - '0' : -1;
}

static size_t file_read(const char *path, char *text, size_t room)
{
	int fd = sys_open(path, O_RDONLY);
	size_t len = 0;

	if (fd < 0)
		return 0;
	while (len < room) {
		ssize_t n = sys_read(fd, text + len, room - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	sys_close(fd);
	return len;
}

/* These calls are those by which the loader brought the shim, so no filter refuses them. */
bool refuse_is_sandboxed(void)
{
	char text[4096];

	return refuse_seccomp_parse(text, file_read("/proc/self/status", text, sizeof(text))) != 0;
}

static bool overcommit_is_never(void)
{
	char text[4];

	return file_read("/proc/sys/vm/overcommit_memory", text, sizeof(text)) > 0 && text[0] == '2';
}

/* Their runtimes take the allocator's place, and say so by these names also where they are linked in. */
static bool has_sanitizer(void)
{
	static const char *const entries[] = { "__asan_init", "__lsan_init", "__msan_init", "__tsan_init",
		"__hwasan_init" };
	bool found = false;

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]) && !found; i++)
		found = dlsym(RTLD_DEFAULT, entries[i]) != NULL;
	dlerror(); /* what was not found is no error of the program */
	return found;
}

/*
 * Whether the program brings a malloc of its own, which comes before any that is preloaded. One that is not
 * position independent and takes the address of malloc has an entry for it in its own procedure linkage
 * table: the loader gives that for the address, under a symbol that is not defined there, and it leads here.
 */
static bool has_own_malloc(void)
{
	void *found = dlsym(RTLD_DEFAULT, "malloc");
	void *symbol = NULL;
	Dl_info info;

	if (found == (void *)hooks_malloc)
		return false;
	return !found || !dladdr1(found, &info, &symbol, RTLD_DL_SYMENT) || !symbol ||
	       ((const ElfW(Sym) *)symbol)->st_shndx != SHN_UNDEF;
}

enum shadow_reason refuse_reason(bool handed)
{
	/* A child of fork is what its parent was, and may not ask the loader, which may be locked. */
	if (!shim.forked) {
		if (getauxval(AT_SECURE))
			return SHADOW_SECURE;
		if (has_sanitizer())
			return SHADOW_SANITIZER;
		if (hooks_malloc && has_own_malloc())
			return SHADOW_OWN;
	}
	if (!handed && !shim.follow)
		return SHADOW_UNFOLLOWED;
	if (shim.sandboxed && !handed)
		return SHADOW_SECCOMP;
	if (!shim.sandboxed && overcommit_is_never())
		return SHADOW_OVERCOMMIT;
	return SHADOW_FINE;
}
