/* SPDX-License-Identifier: MIT */
#include "fs/supervisor/own_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/base/cleanup.h"

/* In a user namespace root of the machine has no name; whoever owns `/` could do anything anyway. */
static bool is_trusted(uid_t uid)
{
	struct stat st;
	return uid == geteuid() || !uid || (!stat("/", &st) && st.st_uid == uid);
}

static int refuse_owner(const char *path, uid_t uid, struct err *err)
{
	return err_set(err, EPERM, "%s belongs to user %u, not to user %u: give another directory", path,
		(unsigned)uid, (unsigned)geteuid());
}

static int refuse_mode(const char *path, struct err *err)
{
	return err_set(
		err, EPERM, "%s can be written by others: give another directory, or chmod go-w it", path);
}

/* One step of the way. A group that may write there is its owner's will. */
static int check_step(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st))
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	if (!is_trusted(st.st_uid))
		return refuse_owner(path, st.st_uid, err);
	/* The mode of a link says nothing; where it leads is looked at once it is resolved. */
	return S_ISDIR(st.st_mode) && (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)
		       ? refuse_mode(path, err)
		       : 0;
}

/* Checks each directory on the way, but the last, after making it where asked to. */
static int walk(char *copy, bool make, struct err *err)
{
	int r = 0;

	for (char *at = copy + 1; !r && *copy && *at; at++) {
		/* Slashes at the end are no directory more: the last one has its own mode. */
		if (*at != '/' || !at[strspn(at, "/")])
			continue;
		*at = 0;
		if (make && mkdir(copy, 0755) && errno != EEXIST)
			r = err_set(err, errno, "cannot make the directory %s: %s", copy, strerror(errno));
		else
			r = check_step(copy, err);
		*at = '/';
	}
	return r;
}

int own_dir_make(const char *path, mode_t mode, struct err *err)
{
	CLEANUP_FREE char *copy = strdup(path);
	int r = copy ? walk(copy, true, err) : err_set(err, ENOMEM, "no memory");

	if (r)
		return r;
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	if (mkdir(copy, mode) && errno != EEXIST)
		return err_set(err, errno, "cannot make the directory %s: %s", copy, strerror(errno));
	return check_step(copy, err);
}

int own_dir_open(const char *path, struct err *err, int *ret_fd)
{
	CLEANUP_FREE char *copy = strdup(path);
	int r = copy ? walk(copy, false, err) : err_set(err, ENOMEM, "no memory");
	struct stat st;

	if (r)
		return r;
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	if (st.st_uid != geteuid())
		return refuse_owner(path, st.st_uid, err);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return refuse_mode(path, err);
	*ret_fd = steal_fd(&fd);
	return 0;
}
