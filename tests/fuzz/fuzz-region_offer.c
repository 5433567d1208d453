/* SPDX-License-Identifier: MIT */
/*
 * What comes in at shim.sock: a datagram, its control messages, and a region with any header, opened, driven and
 * let go. The first byte: how many bytes of the rest are the datagram; the second: the same of the control
 * messages; then the header. Descriptors in control messages are made to be none that anybody has.
 */
#include "collector/leaks/region.h"
#include "collector/leaks/region_absence.h"
#include "collector/leaks/region_drive.h"
#include "collector/leaks/region_maps.h"
#include "collector/leaks/region_offer.h"
#include "schema/shadow.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SCM_PIDFD_HERE = 4, NOBODYS = 1 << 20 };

static void mask_descriptors(struct msghdr *message)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET ||
			(header->cmsg_type != SCM_RIGHTS && header->cmsg_type != SCM_PIDFD_HERE))
			continue;
		for (size_t at = 0; at + sizeof(int) <= header->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
			int fd = NOBODYS;
			memcpy(CMSG_DATA(header) + at, &fd, sizeof(fd));
		}
	}
}

/* The kernel's are well formed: lengths lie within the room. */
static bool is_well_formed(struct msghdr *message)
{
	const char *end = (const char *)message->msg_control + message->msg_controllen;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_len < CMSG_LEN(0) || header->cmsg_len > (size_t)(end - (const char *)header))
			return false;
	}
	return true;
}

static void offer(const uint8_t *data, size_t size, const uint8_t *control, size_t control_len)
{
	union {
		struct cmsghdr align;
		char bytes[REGION_OFFER_CONTROL_MAX];
	} room = { 0 };
	struct msghdr message = { .msg_control = room.bytes, .msg_controllen = control_len };
	struct region_offer taken = { .fd = -7 };

	memcpy(room.bytes, control, control_len);
	if (!is_well_formed(&message))
		return;
	mask_descriptors(&message);
	if (region_offer_take(&message, data, size, &taken))
		CHECK(size == sizeof(struct shadow_offer) && taken.fd == NOBODYS && taken.pid);
	else
		CHECK(taken.fd == -7);
}

static void open_region(const uint8_t *data, size_t size)
{
	int fd = memfd_create(SHADOW_NAME, MFD_ALLOW_SEALING | MFD_CLOEXEC);
	struct region *region;
	struct region_driving driving;
	struct err err = { 0 };

	CHECK(fd >= 0 && !ftruncate(fd, (off_t)SHADOW_FILE_BYTES) && !fcntl(fd, F_ADD_SEALS, SHADOW_SEALS));
	CHECK(pwrite(fd, data, size, 0) == (ssize_t)size);
	if (region_open(fd, &region, &err)) {
		CHECK(err.code && *err.reason);
		return;
	}
	region_read_driving(region, &driving);
	CHECK(driving.mode < N_SHADOW_MODES && driving.epoch <= SHADOW_EPOCH_LAST);
	CHECK(driving.attached_epoch <= SHADOW_EPOCH_LAST && driving.driver <= SHADOW_BY_COLLECTOR);
	if (region->ready) {
		CHECK(!shadow_header_fault(&region->fixed, region->file_bytes));
		region->ours = true;
		region_tick(region, 1 << 30);
		CHECK(region_set_mode(region, SHADOW_SAMPLE, 0, 1 << 30) == REGION_DRIVEN);
		region_read_driving(region, &driving);
		CHECK(driving.mode == SHADOW_SAMPLE && driving.rate_bytes == SHADOW_SAMPLE_BYTES);
		CHECK(region_set_mode(region, SHADOW_OFF, 0, 1 << 30) == REGION_DRIVEN);
		CHECK(region_give_back(region) == 0);
	}
	region_unref(region);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct region_absent absent;
	struct region_maps maps = { 0 };
	struct span text = { (const char *)data, size };

	region_maps_take(&maps, &text, true);
	CHECK(maps.n_regions <= REGION_MAPS_MAX && maps.n_data <= REGION_MAPS_DATA_MAX);
	if (region_beacon_parse(data, size, &absent))
		CHECK(*region_absent_name(&absent));
	if (size < 2)
		return 0;
	size_t datagram = data[0], control = data[1];
	data += 2;
	size -= 2;
	if (datagram > size || control > size - datagram || control > REGION_OFFER_CONTROL_MAX)
		return 0;
	offer(data, datagram, data + datagram, control);
	if (size - datagram - control <= SHADOW_LEAVES_AT)
		open_region(data + datagram + control, size - datagram - control);
	return 0;
}
