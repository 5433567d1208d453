/* SPDX-License-Identifier: MIT */
#include "fs/users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/render.h"
#include "schema/base/num.h"
#include "schema/proc/passwd.h"

struct user {
	uint32_t uid;
	uint32_t line;  /* the first of several wins */
	size_t at, len; /* in names */
	const struct users *users;
};

struct users {
	const struct proc_root *root;
	struct stat seen; /* of the file that was read */
	struct buf names; /* as directories, one after the other */
	struct user *by_uid, *by_name;
	size_t n;
};

int users_new(const struct proc_root *root, struct users **ret_users)
{
	struct users *users = calloc(1, sizeof(*users));

	if (!users)
		return -ENOMEM;
	users->root = root;
	*ret_users = users;
	return 0;
}

static void forget(struct users *users)
{
	buf_clear(&users->names);
	free(users->by_uid);
	free(users->by_name);
	users->by_uid = users->by_name = NULL;
	users->n = 0;
}

void users_free(struct users *users)
{
	if (!users)
		return;
	forget(users);
	buf_deinit(&users->names);
	free(users);
}

static struct span name_of(const struct users *users, const struct user *user)
{
	return (struct span) { users->names.data + user->at, user->len };
}

static int compare_spans(struct span a, struct span b)
{
	int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
	return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_lines(const struct user *a, const struct user *b)
{
	return (a->line > b->line) - (a->line < b->line);
}

static int compare_uids(const void *left, const void *right)
{
	const struct user *a = left, *b = right;
	return a->uid != b->uid ? (a->uid > b->uid ? 1 : -1) : compare_lines(a, b);
}

static int compare_names(const void *left, const void *right)
{
	const struct user *a = left, *b = right;
	int order = compare_spans(name_of(a->users, a), name_of(b->users, b));
	return order ? order : compare_lines(a, b);
}

static bool is_number(struct span name)
{
	uint64_t number;
	return num_parse_whole(name.p, name.n, &number);
}

static void add(struct users *users, const struct passwd *entry, uint32_t line)
{
	struct user *user = &users->by_uid[users->n];

	*user = (struct user) { entry->uid, line, users->names.len, 0, users };
	render_directory_name(&users->names, entry->name);
	if (buf_error(&users->names))
		return;
	user->len = users->names.len - user->at;
	users->n++;
}

static void read_users(struct users *users)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct passwd entry;
	size_t lines = 0;

	if (proc_read(users->root->etc, "passwd", &text))
		return;
	for (struct span rest = { text.data, text.len }; passwd_next(&rest, &entry);)
		lines++;
	users->by_uid = calloc(lines ? lines : 1, sizeof(*users->by_uid));
	users->by_name = calloc(lines ? lines : 1, sizeof(*users->by_name));
	if (!users->by_uid || !users->by_name)
		return;
	uint32_t line = 0;
	for (struct span rest = { text.data, text.len }; passwd_next(&rest, &entry); line++) {
		if (!is_number(entry.name))
			add(users, &entry, line);
	}
	memcpy(users->by_name, users->by_uid, users->n * sizeof(*users->by_uid));
	qsort(users->by_uid, users->n, sizeof(*users->by_uid), compare_uids);
	qsort(users->by_name, users->n, sizeof(*users->by_name), compare_names);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

void users_refresh(struct users *users)
{
	struct stat now = { 0 };

	if (users->root->etc >= 0 && fstatat(users->root->etc, "passwd", &now, 0))
		now = (struct stat) { 0 };
	if (same_file(&now, &users->seen))
		return;
	/* Before reading: what is written meanwhile is another state of the file. */
	users->seen = now;
	forget(users);
	if (now.st_ino)
		read_users(users);
}

/* The first whose key is not below what is looked for. */
static const struct user *lower_bound(const struct user *user, size_t n,
	int (*below)(const struct user *user, const void *key), const void *key)
{
	while (n) {
		size_t half = n / 2;
		if (below(&user[half], key)) {
			user += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return user;
}

static int uid_is_below(const struct user *user, const void *key)
{
	return user->uid < *(const uint32_t *)key;
}

static int name_is_below(const struct user *user, const void *key)
{
	return compare_spans(name_of(user->users, user), *(const struct span *)key) < 0;
}

static bool find_name(const struct users *users, struct span name, uint32_t *ret_uid)
{
	const struct user *user = lower_bound(users->by_name, users->n, name_is_below, &name);

	if (user == users->by_name + users->n || compare_spans(name_of(users, user), name) != 0)
		return false;
	*ret_uid = user->uid;
	return true;
}

void users_put(const struct users *users, uint32_t uid, struct buf *out)
{
	const struct user *user = lower_bound(users->by_uid, users->n, uid_is_below, &uid);
	uint32_t other;

	if (user != users->by_uid + users->n && user->uid == uid &&
		find_name(users, name_of(users, user), &other) && other == uid)
		buf_put(out, users->names.data + user->at, user->len);
	else
		buf_put_u64(out, uid);
}

bool users_find(const struct users *users, struct span name, uint32_t *ret_uid)
{
	uint64_t uid;

	if (num_parse_whole(name.p, name.n, &uid)) {
		if (uid > UINT32_MAX || (*name.p == '0' && name.n > 1))
			return false;
		*ret_uid = (uint32_t)uid;
		return true;
	}
	return find_name(users, name, ret_uid);
}
