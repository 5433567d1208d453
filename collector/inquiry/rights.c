/* SPDX-License-Identifier: MIT */
#include "collector/inquiry/rights.h"

#include <errno.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "schema/proc/root.h"

void rights_restore(struct rights *rights)
{
	if (!rights->own)
		return;
	/* First the ids: their change to root's touches the capabilities. */
	setfsuid(geteuid());
	setfsgid(getegid());
	cap_set_proc(rights->own);
	cap_free(rights->own);
	rights->own = NULL;
	/*
	 * The change of ids made this process one that may not be dumped, and then the next supervisor could
	 * not take its descriptors over without CAP_SYS_PTRACE. What protects it from the user is that its
	 * real and effective ids have been root's all along.
	 */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

int rights_lend(uid_t uid, gid_t gid, struct rights *ret)
{
	*ret = (struct rights) { NULL };
	if (!uid || geteuid())
		return 0;
	struct rights rights = { cap_get_proc() };
	cap_t none = rights.own ? cap_dup(rights.own) : NULL;
	int r = none ? 0 : -ENOMEM;

	if (!r) {
		/* Both tell the ids before the call, whatever became of it; an id that is none changes
		 * nothing. */
		setfsgid(gid);
		setfsuid(uid);
		if ((gid_t)setfsgid((gid_t)-1) != gid || (uid_t)setfsuid((uid_t)-1) != uid ||
			cap_clear_flag(none, CAP_EFFECTIVE) || cap_set_proc(none))
			r = -EPERM;
	}
	if (none)
		cap_free(none);
	if (r)
		rights_restore(&rights);
	*ret = rights;
	return r;
}

int rights_check_owner(uid_t uid, int living, gid_t *ret_gid, struct err *err)
{
	uid_t owner = 0;
	int r = proc_read_owner(living, &owner, ret_gid);

	if (r == PROC_OK && uid && uid != owner)
		return err_set(
			err, EACCES, "the process belongs to user %u: only they and root may do this", owner);
	return r;
}
