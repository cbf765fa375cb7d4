/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * FUSE_INIT.
 *
 * The kernel doesn't mask the reply with what it offered: whatever flag is set takes effect. So the
 * reply is masked here with what was sent to the device, which is the kernel's offer less what a
 * relay can't keep.
 */
#include "fuse/init.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>

#define KERNEL_INIT_BYTES_OLD 16U
/* Without FUSE_MAX_PAGES a request has at most 32 pages (FUSE_DEFAULT_MAX_PAGES_PER_REQ). */
#define PAGES_DEFAULT 32U
#define WRITE_MIN 4096U

/* Everything the uapi defines up to 7.45, without bit 31 (INIT_RESERVED). */
#define KNOWN ((1ULL << 43) - 1 - (1ULL << 31))

/*
 * Not for the device: splicing is between the kernel and us; the io_uring channel, passthrough,
 * resend and time-outs are promises about /dev/fuse; submounts and DAX need the kernel's virtiofs.
 */
#define NOT_FOR_DEVICE                                                                             \
	(FUSE_SPLICE_READ | FUSE_SPLICE_WRITE | FUSE_SPLICE_MOVE | FUSE_SUBMOUNTS |                \
	 FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX | VIOFS_FUSE_PASSTHROUGH |                        \
	 VIOFS_FUSE_HAS_RESEND | VIOFS_FUSE_OVER_IO_URING | VIOFS_FUSE_REQUEST_TIMEOUT |           \
	 VIOFS_FUSE_HAS_IO_URING_BUFPOOL)

static uint64_t flags_in(const struct fuse_init_in *in)
{
	uint64_t flags = in->flags;

	if (flags & FUSE_INIT_EXT)
		flags |= (uint64_t)in->flags2 << 32;
	return flags;
}

static uint64_t flags_out(const struct fuse_init_out *out)
{
	uint64_t flags = out->flags;

	if (flags & FUSE_INIT_EXT)
		flags |= (uint64_t)out->flags2 << 32;
	return flags;
}

int viofs_fuse_init_request(const void *in, size_t len, struct fuse_init_in *out, size_t *out_len,
			    struct viofs_err *err)
{
	struct fuse_init_in kernel = { 0 };
	uint64_t flags;

	if (len < KERNEL_INIT_BYTES_OLD)
		return viofs_err_set(err, -EPROTO,
				     "the kernel's FUSE_INIT has %zu bytes, %u are needed", len,
				     KERNEL_INIT_BYTES_OLD);
	memcpy(&kernel, in, VIOFS_MIN(len, sizeof(kernel)));
	if (kernel.major != FUSE_KERNEL_VERSION)
		return viofs_err_set(err, -EPROTO,
				     "the kernel speaks FUSE %u.%u, only 7.x is known",
				     kernel.major, kernel.minor);
	flags = flags_in(&kernel) & KNOWN & ~(uint64_t)NOT_FOR_DEVICE;
	/* With INIT_EXT the device would read the extension, which this INIT lacks. */
	if (len < sizeof(*out))
		flags &= UINT32_MAX & ~(uint64_t)FUSE_INIT_EXT;
	memset(out, 0, sizeof(*out));
	out->major = FUSE_KERNEL_VERSION;
	out->minor = VIOFS_MIN(kernel.minor, (uint32_t)VIOFS_FUSE_MINOR_MAX);
	out->max_readahead = kernel.max_readahead;
	out->flags = (uint32_t)flags;
	*out_len = KERNEL_INIT_BYTES_OLD;
	if (len >= sizeof(*out)) {
		out->flags2 = (uint32_t)(flags >> 32);
		*out_len = sizeof(*out);
	}
	return 0;
}

static int check_version(const struct fuse_init_out *d, size_t len, struct viofs_err *err)
{
	if (len != FUSE_COMPAT_INIT_OUT_SIZE && len != FUSE_COMPAT_22_INIT_OUT_SIZE &&
	    len < sizeof(*d))
		return viofs_err_set(err, -EPROTO,
				     "the device's answer to FUSE_INIT has %zu bytes; 8, 24 "
				     "or %zu are legal",
				     len, sizeof(*d));
	if (d->major != FUSE_KERNEL_VERSION)
		return viofs_err_set(err, -EPROTO,
				     "the device speaks FUSE %u.%u, only 7.x is known", d->major,
				     d->minor);
	if (d->minor < VIOFS_FUSE_MINOR_MIN)
		return viofs_err_set(err, -EPROTO,
				     "the device speaks FUSE 7.%u, at least 7.%u is needed",
				     d->minor, VIOFS_FUSE_MINOR_MIN);
	return 0;
}

static uint64_t agree_flags(const struct fuse_init_in *kernel, const struct fuse_init_in *sent,
			    const struct viofs_fuse_limits *limits, uint64_t device)
{
	uint64_t flags = device & flags_in(sent);

	if (!limits->default_permissions)
		flags &= ~VIOFS_FUSE_ALLOW_IDMAP;
	if (limits->sync_dio)
		flags &= ~(uint64_t)FUSE_ASYNC_DIO;
	/*
	 * Our own flag, and a promise. Entries are few, and all of them could end up waiting for
	 * locks, with none left for the unlock. So not where the device handles locks.
	 */
	if (limits->io_uring && !(flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS)))
		flags |= flags_in(kernel) & VIOFS_FUSE_OVER_IO_URING;
	/* Ours: a read of /dev/fuse after an abort says so. */
	return flags | (flags_in(kernel) & FUSE_ABORT_ERROR);
}

/* max_write and max_pages, which must agree with each other and with what a slot carries. */
static void agree_sizes(const struct fuse_init_out *d, const struct viofs_fuse_limits *limits,
			struct viofs_fuse_agreed *a)
{
	uint32_t pages = limits->max_data / limits->page_size;
	uint32_t default_pages = VIOFS_MIN(pages, PAGES_DEFAULT);

	if (a->flags & FUSE_MAX_PAGES)
		a->max_pages = VIOFS_MIN(VIOFS_MAX(d->max_pages, 1U), pages);
	else
		a->max_pages = default_pages;
	a->max_write = VIOFS_MIN(d->max_write, a->max_pages * limits->page_size);
	a->max_write = VIOFS_MAX(a->max_write, WRITE_MIN);
}

int viofs_fuse_init_reply(const struct fuse_init_in *kernel, const struct fuse_init_in *sent,
			  const struct viofs_fuse_limits *limits, const void *payload, size_t len,
			  struct fuse_init_out *out, struct viofs_fuse_agreed *agreed,
			  struct viofs_err *err)
{
	struct viofs_fuse_agreed a = { 0 };
	struct fuse_init_out d = { 0 };
	int rc;

	memcpy(&d, payload, VIOFS_MIN(len, sizeof(d)));
	rc = check_version(&d, len, err);
	if (rc)
		return rc;
	a.kernel_minor = kernel->minor;
	a.device_minor = d.minor;
	a.kernel_flags = flags_in(kernel);
	a.device_flags = flags_out(&d);
	a.flags = agree_flags(kernel, sent, limits, a.device_flags);
	agree_sizes(&d, limits, &a);
	a.max_readahead = VIOFS_MIN(d.max_readahead, kernel->max_readahead);
	a.max_background = d.max_background ? VIOFS_MIN(d.max_background, limits->max_background)
					    : limits->max_background;
	a.congestion_threshold =
		VIOFS_MIN(d.congestion_threshold ? d.congestion_threshold : UINT16_MAX,
			  a.max_background * 3 / 4);
	a.time_gran = d.time_gran;
	a.conn = (struct viofs_fuse_conn){
		.minor = VIOFS_MIN(VIOFS_MIN(d.minor, sent->minor), (uint32_t)VIOFS_FUSE_MINOR_MAX),
		.page_size = limits->page_size,
		.setxattr_ext = a.flags & FUSE_SETXATTR_EXT,
		.remote_locks = a.flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS),
	};
	*out = (struct fuse_init_out){
		.major = FUSE_KERNEL_VERSION,
		.minor = a.conn.minor,
		.max_readahead = a.max_readahead,
		.flags = (uint32_t)a.flags,
		.max_background = a.max_background,
		.congestion_threshold = a.congestion_threshold,
		.max_write = a.max_write,
		.time_gran = a.time_gran,
		.max_pages = (uint16_t)((a.flags & FUSE_MAX_PAGES) ? a.max_pages : 0),
		.flags2 = (uint32_t)(a.flags >> 32),
	};
	*agreed = a;
	return 0;
}

const char *viofs_fuse_init_flag_name(unsigned int bit)
{
	static const char *const names[] = {
		"ASYNC_READ",
		"POSIX_LOCKS",
		"FILE_OPS",
		"ATOMIC_O_TRUNC",
		"EXPORT_SUPPORT",
		"BIG_WRITES",
		"DONT_MASK",
		"SPLICE_WRITE",
		"SPLICE_MOVE",
		"SPLICE_READ",
		"FLOCK_LOCKS",
		"HAS_IOCTL_DIR",
		"AUTO_INVAL_DATA",
		"DO_READDIRPLUS",
		"READDIRPLUS_AUTO",
		"ASYNC_DIO",
		"WRITEBACK_CACHE",
		"NO_OPEN_SUPPORT",
		"PARALLEL_DIROPS",
		"HANDLE_KILLPRIV",
		"POSIX_ACL",
		"ABORT_ERROR",
		"MAX_PAGES",
		"CACHE_SYMLINKS",
		"NO_OPENDIR_SUPPORT",
		"EXPLICIT_INVAL_DATA",
		"MAP_ALIGNMENT",
		"SUBMOUNTS",
		"HANDLE_KILLPRIV_V2",
		"SETXATTR_EXT",
		"INIT_EXT",
		"INIT_RESERVED",
		"SECURITY_CTX",
		"HAS_INODE_DAX",
		"CREATE_SUPP_GROUP",
		"HAS_EXPIRE_ONLY",
		"DIRECT_IO_ALLOW_MMAP",
		"PASSTHROUGH",
		"NO_EXPORT_SUPPORT",
		"HAS_RESEND",
		"ALLOW_IDMAP",
		"OVER_IO_URING",
		"REQUEST_TIMEOUT",
		"HAS_IO_URING_BUFPOOL",
	};

	return bit < VIOFS_ARRAY_SIZE(names) ? names[bit] : NULL;
}
