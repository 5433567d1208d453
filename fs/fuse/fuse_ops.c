/* SPDX-License-Identifier: MIT */
/* Names, attributes, listings, and what the tree refuses: the same for each kind of session. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fuse/fuse_door.h"
#include "fs/nodes/nodes.h"
#include "fs/refusals.h"
#include "schema/base/clock.h"
#include "schema/base/num.h"

/* "Until told otherwise": the ticker tells. */
static const double until_told_s = 3600;
/* In the live session nobody tells; an id found anew costs one lookup. */
static const double live_entry_s = 1;

struct caller door_caller(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	return (struct caller) { ctx->uid, ctx->gid, ctx->pid };
}

struct caller door_reader(fuse_req_t req, const struct place *place)
{
	struct caller caller = door_caller(req);

	if (tree_node(door_of(req)->doors->tree, place)->per_user)
		caller.uid = place->start_ticks;
	return caller;
}

static bool is_self(const struct node *node)
{
	return node->class == NODE_LINK && !strcmp(node->name ? node->name : "", "self");
}

/* Content of these classes is served by the live session; the main one shows a link to it. */
static bool is_live(const struct node *node)
{
	return node->class == NODE_TABLE || node->class == NODE_STREAM || node->live || is_self(node);
}

/* Whether this session has the row at all. */
static bool door_shows(const struct door *door, const struct node *node)
{
	return door->kind != DOOR_LIVE || node->class == NODE_DIR || is_live(node);
}

static mode_t type_in(const struct door *door, const struct node *node)
{
	if (node->class == NODE_LINK || (door->kind == DOOR_MAIN && is_live(node)))
		return S_IFLNK;
	return node->class == NODE_DIR ? S_IFDIR : S_IFREG;
}

/* Where a link leads. */
static int read_link(struct door *door, fuse_req_t req, const struct place *place, struct buf *out)
{
	struct doors *doors = door->doors;
	const struct node *node = tree_node(doors->tree, place);
	struct caller caller = req ? door_caller(req) : (struct caller) { 0 };

	if (door->kind == DOOR_MAIN && is_live(node)) {
		buf_puts(out, doors->view->live_dir);
		buf_putc(out, '/');
		tree_path(doors->tree, doors->view, place, out);
		return 0;
	}
	return node->render(doors->view, place, &caller, out);
}

/* The length of a table as last opened; one never opened is rendered to learn it, for a size of 0 reads as
 * empty. */
static int64_t table_length(struct door *door, fuse_req_t req, const struct place *place)
{
	struct doors *doors = door->doors;
	const struct node *node = tree_node(doors->tree, place);
	struct caller asker = req ? door_caller(req) : (struct caller) { 0 };

	/* Not even how much there is to read, to whom it is not for. */
	if (req && node->guarded && !door_may_read(door, &asker, place))
		return 0;
	int64_t len = opens_last_length(doors->opens, tree_id(place));

	if (len < 0 && node->class == NODE_TABLE && req) {
		CLEANUP_BUF struct buf text = BUF_INIT;
		struct caller caller = door_reader(req, place);
		len = node->render(doors->view, place, &caller, &text) ? 1 : (int64_t)text.len;
		opens_remember_length(doors->opens, tree_id(place), (size_t)len);
	}
	return len < 0 ? 0 : len;
}

/*
 * The owner of a process's directory is whom /proc shows, and so is that of what is below, which is root
 * where the process may not be dumped. 0 or -ESRCH.
 */
static int set_process_owner(struct doors *doors, const struct place *place, struct stat *st)
{
	bool below = !S_ISDIR(st->st_mode);
	char path[NUM_TEXT_MAX + sizeof("/stat")];
	struct stat proc;

	strcpy(path + num_format_u64(path, place->pid), below ? "/stat" : "");
	if (fstatat(doors->view->root.proc, path, &proc, AT_SYMLINK_NOFOLLOW))
		return -ESRCH;
	st->st_uid = proc.st_uid;
	st->st_gid = proc.st_gid;
	return 0;
}

/* The time of the sample. That of the last change of owner and mode does not follow: for tar it would be a
 * file that changed while it was read. */
static void set_time(struct stat *st, int64_t ns)
{
	st->st_mtim = (struct timespec) { ns / 1000000000, ns % 1000000000 };
	st->st_atim = st->st_mtim;
}

int door_attr(
	struct door *door, fuse_req_t req, const struct place *place, struct stat *ret, double *ret_timeout)
{
	struct doors *doors = door->doors;
	const struct node *node = tree_node(doors->tree, place);
	struct stat st = {
		.st_ino = tree_id(place),
		.st_mode = type_in(door, node),
		.st_nlink = 1,
		.st_uid = doors->owner_uid,
		.st_gid = doors->owner_gid,
		.st_blksize = 4096,
	};

	*ret_timeout = door->kind == DOOR_LIVE ? 0 : until_told_s;
	set_time(&st, doors->view->boot_ns);
	st.st_ctim = st.st_mtim;
	/* A process that has ended keeps its inode's attributes; what reads bring tells. */
	if (place->pid)
		set_process_owner(doors, place, &st);
	else if (node->owner && node->owner(doors->view, place, &st.st_uid))
		st.st_uid = 0;
	if (S_ISDIR(st.st_mode)) {
		st.st_mode |= node->mode;
		st.st_nlink = 2;
		/* Else the kernel would ask for each directory of a path at each use of it. Who may open what
		 * is below is decided at the open. */
		if (door->kind == DOOR_LIVE)
			*ret_timeout = live_entry_s;
	} else if (S_ISLNK(st.st_mode)) {
		CLEANUP_BUF struct buf target = BUF_INIT;
		st.st_mode |= 0777;
		if (is_self(node) && door->kind != DOOR_MAIN)
			*ret_timeout = 0;
		else if (!read_link(door, req, place, &target))
			st.st_size = (off_t)target.len;
	} else if (node->class == NODE_NUMBER || node->class == NODE_SETTING) {
		struct snapshot_attr attr;
		snapshot_attr(doors->snapshots, place, &attr);
		if (attr.resized && req)
			snapshot_resized_for(doors->snapshots, place, fuse_req_ctx(req)->pid);
		st.st_mode |= node->mode;
		st.st_size = attr.len;
		set_time(&st, attr.mtime_ns);
		if (attr.timeout_ms)
			*ret_timeout = attr.timeout_ms / 1000.0;
	} else {
		st.st_mode |= node->mode;
		st.st_size = table_length(door, req, place);
		set_time(&st, clock_realtime_ns());
		*ret_timeout = 0;
	}
	*ret = st;
	return 0;
}

/* The directory of a process whose end the kernel is told of: in the live session entries are kept too
 * shortly to be worth it. */
static bool is_process_dir(const struct door *door, const struct place *place)
{
	return door->kind != DOOR_LIVE && tree_node(door->doors->tree, place)->list == &process_list;
}

bool door_may_read(struct door *door, const struct caller *caller, const struct place *place)
{
	const struct node *node = tree_node(door->doors->tree, place);
	struct stat st;
	double timeout;

	if (node->per_user && caller->uid && caller->uid != place->start_ticks)
		return false;
	if ((node->mode & S_IROTH && !node->guarded) || !caller->uid)
		return true;
	return !door_attr(door, NULL, place, &st, &timeout) && st.st_uid == caller->uid;
}

static double entry_timeout(const struct door *door, const struct place *place)
{
	unsigned ms = tree_entry_timeout_ms(door->doors->tree, place);
	struct board_process shown;

	const struct node *node = tree_node(door->doors->tree, place);

	/* Of whom the collector has not seen, it will not tell the end. */
	if (is_process_dir(door, place) && !view_board_process(door->doors->view, place, &shown))
		return door->doors->view->freshness_ms / 1000.0;

	if ((door->kind == DOOR_LIVE && is_self(node)) || (door->kind != DOOR_MAIN && node->per_user))
		return 0;
	if (ms)
		return ms / 1000.0;
	return door->kind == DOOR_LIVE ? live_entry_s : until_told_s;
}

static bool place_of(fuse_req_t req, fuse_ino_t ino, struct place *ret)
{
	if (tree_place(door_of(req)->doors->tree, ino, ret))
		return true;
	fuse_reply_err(req, ESTALE);
	return false;
}

/* Whether the kernel had it already. */
static bool learn(struct door *door, const struct place *place)
{
	uint64_t bit = UINT64_C(1) << place->pid % 64;

	return is_process_dir(door, place) &&
	       atomic_fetch_or_explicit(
		       &door->doors->known_pids[place->pid / 64], bit, memory_order_relaxed) &
		       bit;
}

static void forget_one(struct door *door, fuse_ino_t ino)
{
	struct place place;

	if (tree_place(door->doors->tree, ino, &place) && is_process_dir(door, &place))
		door_forget_pid(door->doors, place.pid);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	forget_one(door_of(req), ino);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < n; i++)
		forget_one(door_of(req), forgets[i].ino);
	fuse_reply_none(req);
}

/* A link below a process leads to its pid, which may be another's once it ended. */
static bool leads_astray(struct door *door, const struct place *place)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;

	return door->kind == DOOR_MAIN && place->pid && is_live(tree_node(door->doors->tree, place)) &&
	       view_open_process(door->doors->view, place, &process);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct door *door = door_of(req);
	struct fuse_entry_param entry = { 0 };
	struct place dir, place;
	int r;

	if (!place_of(req, parent, &dir))
		return;
	r = tree_lookup(door->doors->tree, door->doors->view, &dir, name, &place);
	if (!r && (!door_shows(door, tree_node(door->doors->tree, &place)) || leads_astray(door, &place)))
		r = -ENOENT;
	if (!r) {
		/* A table's length is for a GETATTR to learn: whoever else wants this name waits for us. */
		const struct node *node = tree_node(door->doors->tree, &place);
		bool table = node->class == NODE_TABLE;
		if (node->per_user && door->kind != DOOR_MAIN)
			place.start_ticks = door_caller(req).uid;
		r = door_attr(door, table ? NULL : req, &place, &entry.attr, &entry.attr_timeout);
	}
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	learn(door, &place);
	entry.ino = entry.attr.st_ino;
	entry.entry_timeout = entry_timeout(door, &place);
	fuse_reply_entry(req, &entry);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct door *door = door_of(req);
	struct place place;
	struct stat st;
	double timeout;

	if (!place_of(req, ino, &place))
		return;
	int r = door_attr(door, req, &place, &st, &timeout);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, timeout);
}

/* touch and the truncation of `>` are accepted without effect; the rest of chmod, chown and truncate is
 * refused. */
static void op_setattr(
	fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct err err = { 0 };
	struct place place;

	if (!place_of(req, ino, &place))
		return;
	if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		err_set(&err, EPERM, "modes and owners are made by memfs and cannot be changed");
	else if (to_set & FUSE_SET_ATTR_SIZE && attr->st_size)
		err_set(&err, EINVAL, "a file here cannot be given a size");
	if (err.code)
		door_refuse(req, &place, NULL, "", 0, &err);
	else
		op_getattr(req, ino, fi);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	CLEANUP_BUF struct buf target = BUF_INIT;
	struct place place;

	if (!place_of(req, ino, &place))
		return;
	int r = read_link(door_of(req), req, &place, &target);
	buf_putc(&target, 0);
	if (!r)
		r = buf_error(&target);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_readlink(req, target.data);
}

/*
 * In the main session answered once: from then on directories need no open, and the kernel caches their
 * listings until the ticker says otherwise. What the others list may come from the database, of whose changes
 * nobody tells: each open lists anew.
 */
static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (door_of(req)->kind == DOOR_MAIN)
		fuse_reply_err(req, ENOSYS);
	else
		fuse_reply_open(req, fi);
}

enum { DOT = 1, DOT_DOT = 2 }; /* offsets of these two; a child's is its cookie and DOT_DOT */

struct listing {
	fuse_req_t req;
	char *bytes;
	size_t len, cap;
	bool plus;
};

/* False where it does not fit. */
static bool put_entry(
	struct listing *listing, const char *name, const struct fuse_entry_param *entry, off_t offset)
{
	char *at = listing->bytes + listing->len;
	size_t room = listing->cap - listing->len;
	size_t n = listing->plus ? fuse_add_direntry_plus(listing->req, at, room, name, entry, offset)
				 : fuse_add_direntry(listing->req, at, room, name, &entry->attr, offset);

	if (n > room)
		return false;
	listing->len += n;
	return true;
}

static bool put_dots(struct listing *listing, fuse_ino_t ino, off_t offset)
{
	/* Without a node id the kernel takes no attributes from the entry. */
	struct fuse_entry_param dot = { .attr = { .st_ino = ino, .st_mode = S_IFDIR } };

	return (offset >= DOT || put_entry(listing, ".", &dot, DOT)) &&
	       (offset >= DOT_DOT || put_entry(listing, "..", &dot, DOT_DOT));
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	struct door *door = door_of(req);
	CLEANUP_FREE char *bytes = malloc(size);
	struct listing listing = { req, bytes, 0, size, plus };
	struct place dir;
	struct entry child;

	if (!place_of(req, ino, &dir))
		return;
	if (!bytes) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	uint64_t cookie = offset > DOT_DOT ? (uint64_t)offset - DOT_DOT : 0;
	bool fits = put_dots(&listing, ino, offset);
	while (fits && tree_next(door->doors->tree, door->doors->view, &dir, &cookie, &child)) {
		struct fuse_entry_param entry = { 0 };
		if (!door_shows(door, child.node))
			continue;
		entry.attr.st_ino = tree_id(&child.place);
		entry.attr.st_mode = type_in(door, child.node);
		/* Attributes of directories only: those of files would be rendered. And of processes that are
		 * new to the kernel: a listing is read anew after each birth and death, and the owner of each
		 * of ten thousand is most of its cost. */
		if (plus && S_ISDIR(entry.attr.st_mode) && !learn(door, &child.place)) {
			door_attr(door, req, &child.place, &entry.attr, &entry.attr_timeout);
			entry.ino = entry.attr.st_ino;
			entry.entry_timeout = entry_timeout(door, &child.place);
		}
		fits = put_entry(&listing, child.name, &entry, (off_t)cookie + DOT_DOT);
	}
	fuse_reply_buf(req, listing.bytes, listing.len);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	list(req, ino, size, offset, false);
}

static void op_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	list(req, ino, size, offset, true);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255 };
	fuse_reply_statfs(req, &st);
}

void door_refuse(fuse_req_t req, const struct place *place, const char *name, const char *written, size_t len,
	struct err *err)
{
	struct doors *doors = door_of(req)->doors;
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct caller caller = door_caller(req);

	tree_path(doors->tree, doors->view, place, &path);
	if (name) {
		if (path.len)
			buf_putc(&path, '/');
		buf_puts(&path, name);
	}
	buf_putc(&path, 0);
	refusals_add(doors->view->refusals, &caller, path.failed ? "" : path.data, written, len, err);
	fuse_reply_err(req, err->code);
}

static void refuse_name(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct err err = { 0 };
	struct place dir;

	if (!place_of(req, parent, &dir))
		return;
	err_set(&err, EPERM, "names here are made by memfs: none can be created, removed or renamed");
	door_refuse(req, &dir, name, "", 0, &err);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	refuse_name(req, parent, name);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	refuse_name(req, parent, name);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	refuse_name(req, parent, name);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	const char *new_name, unsigned flags)
{
	refuse_name(req, parent, name);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	refuse_name(req, new_parent, new_name);
}

static void op_create(
	fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	refuse_name(req, parent, name);
}

void door_fill_name_ops(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->forget = op_forget;
	ops->forget_multi = op_forget_multi;
	ops->getattr = op_getattr;
	ops->setattr = op_setattr;
	ops->readlink = op_readlink;
	ops->opendir = op_opendir;
	ops->readdir = op_readdir;
	ops->readdirplus = op_readdirplus;
	ops->statfs = op_statfs;
	ops->mknod = op_mknod;
	ops->mkdir = op_mkdir;
	ops->unlink = refuse_name;
	ops->rmdir = refuse_name;
	ops->symlink = op_symlink;
	ops->rename = op_rename;
	ops->link = op_link;
	ops->create = op_create;
}
