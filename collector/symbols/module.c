/* SPDX-License-Identifier: MIT */
#include "collector/symbols/module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/symbols/inner.h"
#include "schema/base/cleanup.h"
#include "schema/proc/pid_maps.h"
#include "schema/proc/root.h"

enum { SEGMENTS_MAX = 65536 };

struct module *module_ref(struct module *module)
{
	atomic_fetch_add_explicit(&module_file_of(module)->references, 1, memory_order_relaxed);
	return module;
}

void module_unref(struct module *module)
{
	if (!module ||
		atomic_fetch_sub_explicit(&module_file_of(module)->references, 1, memory_order_acq_rel) != 1)
		return;
	struct module_file *file = module_file_of(module);
	close_fd(&file->fd);
	free((char *)(uintptr_t)module->path);
	free(file->load);
	free(file);
}

/* --- files --- */

/* Until more is known: what tells the file from others on this machine. */
static struct module_id make_id(const struct file_key *key)
{
	struct module_id id = { .n = sizeof(*key) };

	_Static_assert(sizeof(*key) == MODULE_ID_MAX, "it fits");
	memcpy(id.bytes, key, sizeof(*key));
	return id;
}

/* With one reference, and no user. */
static struct module_file *new_file(const struct file_key *key, const char *path, size_t path_n, int fd)
{
	struct module_file *file = calloc(1, sizeof(*file));
	char *copy = file ? strndup(path, path_n) : NULL;

	if (!copy) {
		free(file);
		return NULL;
	}
	const char *slash = strrchr(copy, '/');
	atomic_init(&file->references, 1);
	file->module = (struct module) { make_id(key), copy, slash ? slash + 1 : copy };
	file->key = *key;
	file->fd = fd;
	return file;
}

static bool is_same(const struct file_key *a, const struct file_key *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns;
}

/* One more user of the file. Under the lock. */
static void use(struct symbols *symbols, struct module_file *file)
{
	module_ref(&file->module);
	if (file->users++)
		return;
	file->next = symbols->files;
	symbols->files = file;
	symbols->n_open += file->fd >= 0;
}

/* Under the lock. */
static void close_file(struct symbols *symbols, struct module_file *file)
{
	symbols->n_open -= file->fd >= 0;
	close_fd(&file->fd);
}

/* Under the lock. */
static void unuse(struct symbols *symbols, struct module_file *file)
{
	if (!--file->users) {
		struct module_file **at = &symbols->files;
		while (*at != file)
			at = &(*at)->next;
		*at = file->next;
		close_file(symbols, file);
	}
	module_unref(&file->module);
}

/* The open file that is this one, with a user more, which takes the descriptor; NULL where there is no
 * memory. */
static struct module_file *find_file(
	struct symbols *symbols, const struct file_key *key, const char *path, size_t path_n, int *fd)
{
	pthread_mutex_lock(&symbols->lock);
	struct module_file *file = symbols->files;
	while (file && (!is_same(&file->key, key) || file->blind || strlen(file->module.path) != path_n ||
			       memcmp(file->module.path, path, path_n)))
		file = file->next;
	if (file) {
		use(symbols, file);
	} else if ((file = new_file(key, path, path_n, *fd))) {
		*fd = -1;
		use(symbols, file);
		module_unref(&file->module);
	}
	pthread_mutex_unlock(&symbols->lock);
	return file;
}

/* A regular file, opened only once it is known to be one: opening a device does things. -1 for none. */
static int open_regular(int at, const char *path, struct stat *ret_st)
{
	char link[40];
	int fd;

	if (proc_open_file(at, path, O_PATH | O_CLOEXEC, &fd) != PROC_OK)
		return -1;
	CLEANUP_CLOSE int found = fd;
	if (fstat(found, ret_st) || !S_ISREG(ret_st->st_mode))
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
	return open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* The file of a mapping, which only root may open by that; else by its name, if it is still that file. */
static int open_mapped(int pid_dir, const struct pid_mapping *mapping, const char *path, struct stat *ret_st)
{
	char name[64];
	CLEANUP_BUF struct buf below = BUF_INIT;

	snprintf(name, sizeof(name), "map_files/%lx-%lx", (unsigned long)mapping->start,
		(unsigned long)mapping->end);
	int fd = open_regular(pid_dir, name, ret_st);
	if (fd >= 0)
		return fd;
	buf_printf(&below, "root%s", path);
	buf_putc(&below, 0);
	fd = buf_error(&below) ? -1 : open_regular(pid_dir, below.data, ret_st);
	if (fd >= 0 && ret_st->st_ino != mapping->inode)
		close_fd(&fd);
	return fd;
}

static struct file_key key_of(const struct stat *st)
{
	return (struct file_key) { st->st_dev, st->st_ino, (uint64_t)st->st_size,
		st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec };
}

/* Has the child say what these files are; of those that it cannot, that is final. */
static void identify(struct symbols *symbols, struct module_file **file, size_t n, int64_t until_ns)
{
	struct ask ask = { .kind = ASK_IDENTIFY, .n = n, .file = file };

	symbols_ask(symbols, &ask, until_ns);
	pthread_mutex_lock(&symbols->lock);
	for (size_t i = 0; i < n; i++) {
		if (!file[i]->known)
			file[i]->known = file[i]->blind = true;
	}
	pthread_mutex_unlock(&symbols->lock);
}

/* --- tables --- */

/* A table being made of maps. */
struct making {
	struct symbols *symbols;
	int pid_dir;
	const struct module_table *old;
	struct module_table table;
	size_t cap;
	/* Of each segment, until the files are known. */
	uint64_t *offset;
	size_t n_opened;
};

static bool is_named(
	const struct module_file *file, const struct pid_mapping *mapping, const char *path, size_t n)
{
	return file->key.inode == mapping->inode && !file->blind && strlen(file->module.path) == n &&
	       !memcmp(file->module.path, path, n);
}

/* The same mapping in the old table, or another of the file in this one. */
static struct module_file *find_known(
	const struct making *making, const struct pid_mapping *mapping, const char *path, size_t n)
{
	const struct module_segment *segment = module_table_find(making->old, mapping->start);

	if (segment && segment->start == mapping->start && segment->end == mapping->end &&
		is_named(module_file_of(segment->module), mapping, path, n))
		return module_file_of(segment->module);
	segment = making->table.n ? &making->table.segment[making->table.n - 1] : NULL;
	return segment && is_named(module_file_of(segment->module), mapping, path, n)
		       ? module_file_of(segment->module)
		       : NULL;
}

static int reserve(struct making *making)
{
	size_t cap = making->cap ? 2 * making->cap : 32;

	if (making->table.n < making->cap)
		return 0;
	if (making->table.n >= SEGMENTS_MAX)
		return -E2BIG;
	struct module_segment *segment = reallocarray(making->table.segment, cap, sizeof(*segment));
	if (segment)
		making->table.segment = segment;
	uint64_t *offset = segment ? reallocarray(making->offset, cap, sizeof(*offset)) : NULL;
	if (!offset)
		return -ENOMEM;
	making->offset = offset;
	making->cap = cap;
	return 0;
}

/* Who maps thousands of files as code must not use up what the collector may have open. */
static bool may_open(const struct making *making)
{
	pthread_mutex_lock(&making->symbols->lock);
	bool room = making->symbols->n_open < FILES_OPEN_MAX;
	pthread_mutex_unlock(&making->symbols->lock);
	return room && making->n_opened < FILES_OF_TABLE_MAX;
}

static int add_mapping(struct making *making, const struct pid_mapping *mapping)
{
	static const char deleted[] = " (deleted)";
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct stat st = { 0 };
	int r = reserve(making);

	if (r)
		return r;
	buf_put_unescaped(&path, mapping->name.p, mapping->name.n);
	if (path.len >= sizeof(deleted) &&
		!memcmp(path.data + path.len - strlen(deleted), deleted, strlen(deleted)))
		path.len -= strlen(deleted);
	buf_putc(&path, 0);
	if (buf_error(&path))
		return -ENOMEM;
	struct module_file *file = find_known(making, mapping, path.data, path.len - 1);
	if (file) {
		pthread_mutex_lock(&making->symbols->lock);
		use(making->symbols, file);
		pthread_mutex_unlock(&making->symbols->lock);
	} else {
		CLEANUP_CLOSE int fd =
			may_open(making) ? open_mapped(making->pid_dir, mapping, path.data, &st) : -1;
		making->n_opened += fd >= 0;
		struct file_key key = key_of(&st);
		if (fd < 0)
			key = (struct file_key) { (uint64_t)mapping->major << 32 | mapping->minor,
				mapping->inode, 0, 0 };
		file = find_file(making->symbols, &key, path.data, path.len - 1, &fd);
		if (!file)
			return -ENOMEM;
	}
	making->offset[making->table.n] = mapping->offset;
	making->table.segment[making->table.n++] =
		(struct module_segment) { mapping->start, mapping->end, 0, &file->module };
	return 0;
}

static ssize_t take_maps(void *ctx, const char *text, size_t len, bool last)
{
	struct making *making = ctx;
	struct span rest = { text, len };
	struct pid_mapping mapping;

	while (pid_maps_next(&rest, last, &mapping)) {
		if (mapping.perms.p[2] != 'x' || !mapping.inode || !mapping.name.n ||
			mapping.name.p[0] != '/')
			continue;
		int r = add_mapping(making, &mapping);
		if (r)
			return r;
	}
	return (ssize_t)(len - rest.n);
}

/* What is between addresses of the process and the file's own, by the program header that was mapped. */
static uint64_t bias_of(const struct module_file *file, uint64_t start, uint64_t offset)
{
	const struct wire_load *found = NULL;

	for (unsigned i = 0; i < file->n_loads; i++) {
		const struct wire_load *load = &file->load[i];
		if (offset >= load->offset && offset - load->offset < load->size && (!found || load->code))
			found = load;
	}
	return start - (found ? found->address + (offset - found->offset) : offset);
}

static void release(struct symbols *symbols, struct module_table *table)
{
	pthread_mutex_lock(&symbols->lock);
	for (size_t i = 0; i < table->n; i++)
		unuse(symbols, module_file_of(table->segment[i].module));
	pthread_mutex_unlock(&symbols->lock);
	free(table->segment);
	*table = (struct module_table) { 0 };
}

static bool is_equal(const struct module_table *a, const struct module_table *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct module_segment *x = &a->segment[i], *y = &b->segment[i];
		if (x->start != y->start || x->end != y->end || x->bias != y->bias || x->module != y->module)
			return false;
	}
	return true;
}

static int finish(struct making *making, int64_t until_ns)
{
	struct symbols *symbols = making->symbols;
	struct module_table *table = &making->table;
	CLEANUP_FREE struct module_file **file = calloc(table->n + 1, sizeof(struct module_file *));
	size_t n = 0;

	if (!file)
		return -ENOMEM;
	pthread_mutex_lock(&symbols->lock);
	for (size_t i = 0; i < table->n; i++)
		if (!module_file_of(table->segment[i].module)->known)
			file[n++] = module_file_of(table->segment[i].module);
	pthread_mutex_unlock(&symbols->lock);
	identify(symbols, file, n, until_ns);
	pthread_mutex_lock(&symbols->lock);
	for (size_t i = 0; i < table->n; i++) {
		struct module_segment *segment = &table->segment[i];
		segment->bias = bias_of(module_file_of(segment->module), segment->start, making->offset[i]);
	}
	table->number = is_equal(table, making->old) ? making->old->number : ++symbols->last_number;
	pthread_mutex_unlock(&symbols->lock);
	return 0;
}

int module_table_read(struct symbols *symbols, int pid_dir, int64_t until_ns, struct module_table *table)
{
	struct making making = { .symbols = symbols, .pid_dir = pid_dir, .old = table };
	int fd;
	int r = proc_open_file(pid_dir, "maps", O_RDONLY | O_CLOEXEC, &fd);

	if (r)
		return r;
	r = proc_read_pieces(pid_dir, fd, take_maps, &making);
	close(fd);
	if (!r)
		r = finish(&making, until_ns);
	free(making.offset);
	if (r) {
		release(symbols, &making.table);
		return r;
	}
	release(symbols, table);
	*table = making.table;
	return PROC_OK;
}

void module_table_deinit(struct symbols *symbols, struct module_table *table)
{
	release(symbols, table);
}

const struct module_segment *module_table_find(const struct module_table *table, uint64_t address)
{
	size_t low = 0, high = table->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table->segment[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < table->n && table->segment[low].start <= address ? &table->segment[low] : NULL;
}

struct module_place module_table_place(const struct module_table *table, uint64_t return_address)
{
	uint64_t address = return_address - 1;
	const struct module_segment *segment = module_table_find(table, address);

	if (!segment)
		return (struct module_place) { NULL, address };
	return (struct module_place) { segment->module, address - segment->bias };
}

/* --- modules that a process told of --- */

int module_find(struct symbols *symbols, int pid_dir, const char *path, const uint8_t *build_id, size_t n,
	int64_t until_ns, struct module **ret_module)
{
	CLEANUP_BUF struct buf below = BUF_INIT;
	struct stat st = { 0 };
	struct module_id id = { .n = (uint8_t)(n < MODULE_ID_MAX ? n : MODULE_ID_MAX), .built = true };

	memcpy(id.bytes, build_id, id.n);
	buf_printf(&below, "%s%s", pid_dir >= 0 ? "root" : "", path);
	buf_putc(&below, 0);
	CLEANUP_CLOSE int fd = *path == '/' && id.n && !buf_error(&below)
				       ? open_regular(pid_dir >= 0 ? pid_dir : AT_FDCWD, below.data, &st)
				       : -1;
	const struct file_key key = key_of(&st);
	struct module_file *file = new_file(&key, path, strlen(path), fd);
	if (!file)
		return -ENOMEM;
	fd = -1;
	pthread_mutex_lock(&symbols->lock);
	use(symbols, file);
	pthread_mutex_unlock(&symbols->lock);
	identify(symbols, &file, file->fd >= 0, until_ns);
	pthread_mutex_lock(&symbols->lock);
	const struct module_id *found = &file->module.id;
	if (!found->built || found->n != id.n || memcmp(found->bytes, id.bytes, id.n)) {
		/* Another file has its name by now. */
		close_file(symbols, file);
		file->module.id = id;
		file->known = file->blind = true;
	}
	pthread_mutex_unlock(&symbols->lock);
	module_unref(&file->module); /* that of new_file: module_close and the caller have theirs */
	*ret_module = module_ref(&file->module);
	return 0;
}

void module_close(struct symbols *symbols, struct module *module)
{
	pthread_mutex_lock(&symbols->lock);
	unuse(symbols, module_file_of(module));
	pthread_mutex_unlock(&symbols->lock);
}
