/* SPDX-License-Identifier: MIT */
#include "collector/leaks/region_offer.h"

#include <string.h>
#include <unistd.h>

#include "schema/base/cleanup.h"
#include "schema/shadow.h"

#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04 /* Linux 6.5 */
#endif

static bool is_offer(const void *bytes, size_t len)
{
	struct shadow_offer offer;

	if (len != sizeof(offer))
		return false;
	memcpy(&offer, bytes, sizeof(offer));
	return offer.magic == SHADOW_MAGIC && offer.version == SHADOW_VERSION;
}

/* Of several descriptors the first. */
static void take_rights(const struct cmsghdr *header, struct region_offer *offer)
{
	size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < n; i++) {
		int fd;
		memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
		if (offer->fd < 0)
			offer->fd = fd;
		else
			close(fd);
	}
}

static void take_header(const struct cmsghdr *header, struct region_offer *offer)
{
	size_t len = header->cmsg_len - CMSG_LEN(0);
	struct ucred cred;
	int fd;

	if (header->cmsg_level != SOL_SOCKET)
		return;
	if (header->cmsg_type == SCM_RIGHTS) {
		take_rights(header, offer);
	} else if (header->cmsg_type == SCM_CREDENTIALS && len >= sizeof(cred)) {
		memcpy(&cred, CMSG_DATA(header), sizeof(cred));
		offer->pid = cred.pid > 0 ? (uint32_t)cred.pid : 0;
		offer->uid = cred.uid;
	} else if (header->cmsg_type == SCM_PIDFD && len >= sizeof(fd)) {
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
		offer->gone = fd < 0;
		if (offer->pidfd < 0)
			offer->pidfd = fd;
		else if (fd >= 0)
			close(fd);
	}
}

bool region_offer_take(const struct msghdr *message, const void *bytes, size_t len, struct region_offer *ret)
{
	struct region_offer offer = { .fd = -1, .pidfd = -1 };

	/* CMSG_NXTHDR takes no const, and changes nothing. */
	struct msghdr whole = *message;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&whole); header; header = CMSG_NXTHDR(&whole, header))
		take_header(header, &offer);
	/* A process of a pid namespace that we do not see has no number here. */
	if (offer.fd >= 0 && offer.pid && !(message->msg_flags & MSG_TRUNC) && is_offer(bytes, len)) {
		*ret = offer;
		return true;
	}
	close_fd(&offer.fd);
	close_fd(&offer.pidfd);
	return false;
}
