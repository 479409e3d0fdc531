/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ivring: ioctl ABI (kernel <-> user space).
 *
 * Device nodes:
 *
 *	/dev/ivring<L>		link L: IVRING_IOC_LINK_INFO, and poll: EPOLLIN with
 *				a peer, EPOLLERR in IVRING_LINK_MISMATCH and _SPLIT,
 *				with EPOLLHUP once it is gone; neither read nor
 *				write (EINVAL) nor mmap (ENODEV)
 *	/dev/ivring<L>c<C>	channel C of link L: read, write, poll, mmap and
 *				the IVRING_IOC_* below
 *	/dev/ivring-host	IVRING_HOST_IOC_*: makes host memory a link
 *
 * A channel carries one conversation at a time, between whoever has it open on
 * this side and whoever has it open on the peer's. The first open starts a
 * conversation, the last close ends it; data the peer has not read yet stays
 * for it. A file that was opened for one conversation never sees the next: before
 * the open(2) that begins one returns, the mappings of older files are taken away.
 * A side that connects and closes without having sent anything may go unnoticed: the
 * other one then waits for the next. open(2) with O_EXCL fails with EBUSY when the
 * channel is open already, and keeps others out.
 *
 * A channel carries bytes, or, opened with O_DIRECT as pipe2(2) has it, messages:
 * one write(2) is one message, never split or joined, of at most the window less
 * eight bytes (EMSGSIZE); one read(2) gives one message, and EMSGSIZE when the
 * buffer is too short: the message stays. Writing nothing sends nothing, and an
 * empty message that a program wrote in place is passed over by read(2). Whoever
 * has the channel open, on both sides, must want the same: else open(2), or the
 * first operation once connected, fails with EPROTOTYPE. FIONREAD tells how many
 * bytes can be read, or how many the next message has (EBUSY, for messages, while a span
 * is peeked or user space has the indices; EBADF, the file is not open for reading).
 * Whether a file is for messages is settled when it is opened; fcntl(2) neither shows nor
 * changes it.
 *
 * splice(2) moves bytes into a channel and out of it, sendfile(2) into it. The kernel
 * has no sendfile(2) out of what cannot seek, but into a pipe: IVRING_IOC_RECV_FILE does
 * that, with one copy where splice(2) by a pipe makes two. On messages these are EINVAL. A
 * channel has no positions: lseek(2), pread(2) and pwrite(2) are ESPIPE.
 *
 * Conventions: sizes and offsets are bytes; flags that are not listed and
 * reserved fields must be zero, else EINVAL; an unknown command is ENOTTY; a
 * bad user pointer is EFAULT. timeout_ns is relative: negative waits for ever,
 * zero not at all. O_NONBLOCK on the file, or RWF_NOWAIT of a call, acts as a timeout of
 * zero. EPOLLET may tell of what has not changed once more.
 *
 * Errors any channel operation may give, besides those it lists:
 *
 *	EAGAIN		would have to wait, and may not
 *	EINTR		a signal came first; with a timeout_ns, also after SIGSTOP and
 *			SIGCONT, a suspend, or the attaching of a tracer, as
 *			epoll_wait(2) has it (see signal(7))
 *	ETIMEDOUT	timeout_ns went by; or the peer's heartbeat stopped for
 *			longer than the link's peer_timeout_ms
 *	ECONNRESET	the peer's kernel went away or started a new life, or this
 *			side's device slept or was reset; or the channel was opened
 *			for the next conversation before this file saw the end of
 *			its own. The file stays unusable, open again
 *	EPIPE		the peer closed the channel: nothing more can be sent
 *			(reading gives what is left, then end of file)
 *	EPROTO		the peer wrote an impossible index or message: the channel is
 *			broken until both sides have closed it
 *	EPROTOTYPE	one side opened the channel for messages, the other for bytes
 *	EPROTONOSUPPORT	the peer is there, but has no protocol version in common
 *			with this side, or its presence makes no sense: see the
 *			kernel's log
 *	EIO		a hole was punched into the memory, so that the two sides see
 *			different pages: the link can only be made anew
 *	ENODEV		the link is gone (detached, device removed or unbound, or
 *			after sleep or a reset it was not what it had been)
 *
 * When the link is gone, and when the device sleeps (suspend, hibernation) or is
 * reset, all mappings are taken away: SIGBUS for who uses one, then and later; mmap(2) of a
 * file that was open then fails as all its operations do. Until the device is back,
 * open(2) waits (EAGAIN with O_NONBLOCK), and the link's state is
 * IVRING_LINK_WAITING. The next conversation does the same to files of older ones,
 * there mmap(2) fails with ECONNRESET. A mapping has no pages that could be taken hold
 * of: what needs some, such as vmsplice(2) and O_DIRECT I/O of another file, fails with
 * EFAULT (Documentation/protocol.rst has the list). A child of fork(2) has the file, but
 * not the mapping: it makes one of its own.
 *
 * While the conversation before lingers (@epoch of CHANNEL_INFO is zero) the rings are
 * its own: to touch a mapping then is SIGBUS. What was left in them is not cleared: who
 * may use a channel may see what went through it lately.
 *
 * mmap(2) is of whole pages of one ring, from anywhere in it, shared: else EINVAL. EACCES
 * for writing what the peer sends, or what the file is not open for.
 */
#ifndef _UAPI_LINUX_IVRING_H
#define _UAPI_LINUX_IVRING_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IVRING_ABI_VERSION	1
#define IVRING_LABEL_SIZE	32

/* ivring_link_info.state */
#define IVRING_LINK_WAITING	0	/* no peer */
#define IVRING_LINK_UP		1	/* the peer is there and speaks our version */
#define IVRING_LINK_MISMATCH	2	/* the peer is there, no version in common */
#define IVRING_LINK_STALLED	3	/* the peer's heartbeat stopped */
#define IVRING_LINK_DEAD	4	/* over; then LINK_INFO is ENODEV */
#define IVRING_LINK_SPLIT	5	/* the memory is not the peer's any more; for good */

/* ivring_link_info.memory_type: how this side's kernel maps the region */
#define IVRING_MEMORY_UNKNOWN	0	/* this architecture cannot say */
#define IVRING_MEMORY_WB	1	/* write-back: full speed */
#define IVRING_MEMORY_UNCACHED	2	/* anything else: slow */

/**
 * struct ivring_link_info - IVRING_IOC_LINK_INFO
 * @abi_version: IVRING_ABI_VERSION of the kernel
 * @link: number of the link
 * @region_size: bytes of shared memory
 * @ring_size: bytes of data in each ring
 * @epoch: number of this side's life
 * @peer_epoch: number of the peer's life, zero without peer
 * @features: wire features in use; none is known yet: zero
 * @channels: number of channels
 * @side: 0 or 1
 * @id: own ivshmem ID
 * @peer_id: the peer's, meaningless without peer
 * @vectors: doorbell vectors this side listens to
 * @peer_vectors: those the peer listens to, zero without peer
 * @state: IVRING_LINK_*
 * @memory_type: IVRING_MEMORY_*
 * @wire_version: protocol version in use, zero without peer
 * @reserved0: zero
 * @label: name of the link for people, NUL-terminated
 * @reserved: zero
 */
struct ivring_link_info {
	__u32 abi_version;
	__u32 link;
	__u64 region_size;
	__u64 ring_size;
	__u64 epoch;
	__u64 peer_epoch;
	__u64 features;
	__u32 channels;
	__u32 side;
	__u32 id;
	__u32 peer_id;
	__u32 vectors;
	__u32 peer_vectors;
	__u32 state;
	__u32 memory_type;
	__u32 wire_version;
	__u32 reserved0;
	char label[IVRING_LABEL_SIZE];
	__u64 reserved[6];
};

/* ivring_channel_info.flags */
#define IVRING_CHANNEL_F_MESSAGES	(1U << 0)  /* opened for messages */
#define IVRING_CHANNEL_F_SHUTDOWN	(1U << 1)  /* this side sends no more */
#define IVRING_CHANNEL_F_PEER_SHUTDOWN	(1U << 2)  /* the peer sends no more */
#define IVRING_CHANNEL_F_USER		(1U << 3)  /* IVRING_IOC_TAKE_INDICES was called */

/* ivring_channel_info.state */
#define IVRING_CHANNEL_OPENING		0  /* waits for the peer to open */
#define IVRING_CHANNEL_CONNECTED	1
#define IVRING_CHANNEL_PEER_CLOSED	2  /* what is left can be read */
#define IVRING_CHANNEL_RESET		3  /* ECONNRESET, ETIMEDOUT, EPROTOTYPE or EIO above */
#define IVRING_CHANNEL_BROKEN		4  /* see EPROTO above */

/**
 * struct ivring_channel_info - IVRING_IOC_CHANNEL_INFO
 * @link: number of the link
 * @channel: number of the channel
 * @state: IVRING_CHANNEL_*, of the conversation of this file
 * @flags: IVRING_CHANNEL_F_*, likewise
 * @ring_size: bytes of data in each ring
 * @map_size: bytes to map for one ring: twice @ring_size, the data twice in a
 *	row, so that a span never wraps
 * @tx_map_offset: mmap(2) offset of the ring this side produces
 * @rx_map_offset: mmap(2) offset of the ring this side consumes (read-only)
 * @window: most bytes in flight from this side
 * @epoch: number of the conversation on this side; zero while the one before still lingers
 * @peer_epoch: and on the peer's, zero while opening
 * @control_map_offset: mmap(2) offset of struct ivring_wire_channel, see
 *	IVRING_IOC_TAKE_INDICES
 * @control_map_size: bytes to map there
 * @side: 0 or 1: which half of struct ivring_wire_channel is this side's
 * @spin_max_ns: longest busy wait of this file: the smallest of the limits set for
 *	it, the channel and all, zero with one CPU; programs that spin heed it
 * @tx_prod: index of the next byte this side produces, zero while opening; as it was
 *	when IVRING_IOC_TAKE_INDICES was called, if it was
 * @rx_cons: and of the next it consumes
 * @rx_prod: the peer's next, as last seen: once it has closed the channel, or sends
 *	no more, that is where its data ends. Not judged by the kernel after
 *	IVRING_IOC_TAKE_INDICES
 * @reserved: zero
 */
struct ivring_channel_info {
	__u32 link;
	__u32 channel;
	__u32 state;
	__u32 flags;
	__u64 ring_size;
	__u64 map_size;
	__u64 tx_map_offset;
	__u64 rx_map_offset;
	__u64 window;
	__u64 epoch;
	__u64 peer_epoch;
	__u64 control_map_offset;
	__u64 control_map_size;
	__u32 side;
	__u32 spin_max_ns;
	__u64 tx_prod;
	__u64 rx_cons;
	__u64 rx_prod;
	__u64 reserved[1];
};

/**
 * struct ivring_span - a piece of ring data, for zero-copy access
 * @flags: zero
 * @reserved: zero
 * @offset: where the span starts in the mapping, 0..ring_size - 1
 * @len: its length
 * @min: RESERVE and PEEK wait until a span has at least this many bytes;
 *	1..window (RESERVE), 1..ring_size (PEEK)
 * @timeout_ns: how long RESERVE and PEEK may wait
 */
struct ivring_span {
	__u32 flags;
	__u32 reserved;
	__u64 offset;
	__u64 len;
	__u64 min;
	__s64 timeout_ns;
};

/* ivring_wait.events and .revents */
#define IVRING_WAIT_CONNECTED	(1U << 0)	/* the peer opened the channel */
#define IVRING_WAIT_IN		(1U << 1)	/* rx_min bytes can be read, or end of file */
#define IVRING_WAIT_OUT		(1U << 2)	/* tx_min bytes can be written */
/*
 * The peer consumed all that was written. A peer that consumed it, closed and
 * opened again before this side looked gives EPIPE instead. fsync(2) waits for it, but is
 * 0 before the peer came; that of io_submit(2) does not wait, and gives EAGAIN.
 */
#define IVRING_WAIT_DRAINED	(1U << 3)

/**
 * struct ivring_wait - IVRING_IOC_WAIT
 * @events: IVRING_WAIT_*, at least one: waits until any of them holds
 * @revents: those that hold
 * @rx_min: for IVRING_WAIT_IN, 1..ring_size
 * @tx_min: for IVRING_WAIT_OUT, 1..window
 * @timeout_ns: how long to wait
 * @reserved: zero
 */
struct ivring_wait {
	__u32 events;
	__u32 revents;
	__u64 rx_min;
	__u64 tx_min;
	__s64 timeout_ns;
	__u64 reserved[2];
};

#define IVRING_IOC_MAGIC	0xBD

/* Link and channel nodes. No errors of its own. */
#define IVRING_IOC_LINK_INFO	_IOR(IVRING_IOC_MAGIC, 0x00, struct ivring_link_info)

/* Channel nodes only. No errors of its own. */
#define IVRING_IOC_CHANNEL_INFO	_IOR(IVRING_IOC_MAGIC, 0x01, struct ivring_channel_info)

/*
 * RESERVE: the free span that comes next, at least @min long, to be filled
 * through the mapping of the ring this side produces. Reserving again before
 * a commit gives the same span, perhaps longer. Until the whole span is
 * committed or the file is closed, RESERVE by other files of this channel, and
 * write(2), splice(2) and SEND_FILE by any, fail with EBUSY. Committing zero bytes gives
 * the span up.
 *	EINVAL	@min is zero or above the window
 *	EBADF	the file is not open for writing
 *	EBUSY	another file holds a reservation
 */
#define IVRING_IOC_RESERVE	_IOWR(IVRING_IOC_MAGIC, 0x02, struct ivring_span)
/*
 * COMMIT: hand the first @len bytes of the reserved span to the peer. @offset
 * must be where the span starts; after a partial commit the span starts
 * @len bytes further on (modulo ring_size). @min and @timeout_ns are ignored.
 *	EINVAL	nothing is reserved, @offset is not where the span starts,
 *		@len is more than was reserved, or the channel carries messages
 *		and @len is no multiple of eight. As nothing is reserved while
 *		user space has the indices, this is the error there, too
 *	EBADF	the file is not open for writing
 */
#define IVRING_IOC_COMMIT	_IOW(IVRING_IOC_MAGIC, 0x03, struct ivring_span)
/*
 * PEEK: the readable span that comes next, at least @min long, to be read
 * through the mapping of the ring this side consumes. At end of file the span
 * is shorter than @min, and zero when all was read. Until the whole span is released,
 * others are kept out as by RESERVE: from PEEK, read(2), splice(2) and RECV_FILE.
 *	EINVAL	@min is zero or above ring_size
 *	EBADF	the file is not open for reading
 *	EBUSY	another file holds a peeked span
 */
#define IVRING_IOC_PEEK		_IOWR(IVRING_IOC_MAGIC, 0x04, struct ivring_span)
/*
 * RELEASE: give the first @len bytes of the peeked span back to the peer. As
 * COMMIT in all else.
 *	EINVAL	nothing is peeked, @offset is not where the span starts,
 *		@len is more than was peeked, or no multiple of eight as above
 *	EBADF	the file is not open for reading
 */
#define IVRING_IOC_RELEASE	_IOW(IVRING_IOC_MAGIC, 0x05, struct ivring_span)
/*
 * WAIT: sleep until an event holds. An event that can never hold any more is
 * an error (see the top of this file), not a wait.
 *	EINVAL	no or unknown @events, @rx_min or @tx_min out of range
 */
#define IVRING_IOC_WAIT		_IOWR(IVRING_IOC_MAGIC, 0x06, struct ivring_wait)

/**
 * struct ivring_file_xfer - a range of a file, to or from a channel
 * @flags: zero
 * @fd: a regular file or a block device, without O_DIRECT, and without O_APPEND to
 *	receive into; setting these by fcntl(2) in mid-transfer changes nothing
 * @offset: where in it, 0..2^63 - 1; its own position is neither used nor moved
 * @len: how many bytes
 * @done: out: how many of them were moved, also when there is an error; untouched when
 *	none can have been: the channel is not open for that, or its link is gone
 * @timeout_ns: how long to wait for the peer each time it makes no progress
 * @reserved: zero
 */
struct ivring_file_xfer {
	__u32 flags;
	__s32 fd;
	__u64 offset;
	__u64 len;
	__u64 done;
	__s64 timeout_ns;
	__u64 reserved[3];
};

/*
 * SEND_FILE: what is in the file goes into the channel, as if by write(2) but
 * straight from the page cache of tmpfs or ext4. Fewer bytes than @len without an error: the
 * file ends there. How far it is can be seen in the channel's stats/tx_bytes. As long as
 * the disk below, or a fanotify(7) listener that is asked for permission, keeps this waiting,
 * the link cannot be detached, its driver not be unbound, its device not sleep: after 10 s
 * the kernel's log says which process holds it. Nor can the next conversation begin
 * meanwhile: open(2) waits (EAGAIN with O_NONBLOCK). Other files,
 * and links without struct pages, have a buffer of 64 KiB in between, one copy more, and
 * hold up nobody else. Nor do other calls, whatever memory they are given.
 *	EBADF	@fd is no file that is open for reading, or the channel is not
 *		open for writing
 *	EBUSY	a span is reserved
 *	EINVAL	@fd is of another kind or has O_DIRECT, @offset + @len is beyond 2^63 - 1, or the
 *		channel carries messages
 *	EINTR	a signal came first; what is @done is done
 *	ENOMEM	for the buffer
 *	others	of reading the file
 */
#define IVRING_IOC_SEND_FILE	_IOWR(IVRING_IOC_MAGIC, 0x07, struct ivring_file_xfer)
/*
 * RECV_FILE: what comes from the channel goes into the file, as if by read(2)
 * but straight into the page cache of tmpfs; other file systems, and the first 64 KiB, have
 * the buffer in between. Fewer bytes than @len without an error: the peer closed the
 * channel. What a file system does not take stays in the ring.
 *	EBADF	@fd is no file that is open for writing, or has O_APPEND; or
 *		the channel is not open for reading
 *	EBUSY	a span is peeked
 *	EINVAL	as above
 *	EINTR	as above
 *	ENOMEM	as above
 *	others	of writing the file, such as ENOSPC
 */
#define IVRING_IOC_RECV_FILE	_IOWR(IVRING_IOC_MAGIC, 0x08, struct ivring_file_xfer)

/*
 * SHUTDOWN: this side sends no more in this conversation. The peer reads what is
 * left, then end of file, and can still send. Once more is no error.
 *	EBADF	the file is not open for writing
 *	EPIPE	the peer has closed the channel
 */
#define IVRING_IOC_SHUTDOWN	_IO(IVRING_IOC_MAGIC, 0x09)

/**
 * struct ivring_options - IVRING_IOC_SET_OPTIONS, _GET_OPTIONS
 * @flags: zero
 * @spin_max_ns: longest busy wait of calls on this file; the channel's and the
 *	module's limits hold besides. As opened: 2^32 - 1
 * @rx_min: poll(2) calls the file readable, and read(2) begins, once so many bytes
 *	are there, 1..ring_size: as SO_RCVLOWAT. read(2) of less waits for no more
 *	than it asks for. More than the peer's window never comes. As opened: 1
 * @tx_min: poll(2) calls the file writable once there is room for so many,
 *	1..window: as SO_SNDLOWAT. For messages: for one of that length, 1..window less
 *	eight bytes. As opened: 1
 * @reserved: zero
 *
 * These belong to the open file, not to the channel.
 */
struct ivring_options {
	__u32 flags;
	__u32 spin_max_ns;
	__u64 rx_min;
	__u64 tx_min;
	__u64 reserved[5];
};

/*
 * SET_OPTIONS
 *	EINVAL	@rx_min or @tx_min out of range; a file for messages has @rx_min 1
 */
#define IVRING_IOC_SET_OPTIONS	_IOW(IVRING_IOC_MAGIC, 0x0a, struct ivring_options)
/* GET_OPTIONS. No errors of its own. */
#define IVRING_IOC_GET_OPTIONS	_IOR(IVRING_IOC_MAGIC, 0x0b, struct ivring_options)

/*
 * TAKE_INDICES: from here on, until the file is closed, the caller moves the
 * indices of both rings itself, in the control page at @control_map_offset, which
 * only now can be mapped (EACCES before): <ivring/ring.h> on the struct
 * ivring_tx and ivring_rx that <ivring/user.h> sets up. This is the way of least
 * latency: no system call is needed but to sleep (WAIT, poll) and to wake a peer
 * that sleeps (RING). What moves data here in other ways fails with EBUSY: read,
 * write, splice, RESERVE, PEEK, SEND_FILE, RECV_FILE. An impossible index of the
 * peer's is for the caller to find, as <ivring/ring.h> does. The wish to be woken is set
 * by WAIT, poll(2), or epoll_wait(2) that looks: with EPOLLET, EPOLL_CTL_MOD has it look,
 * as the EAGAIN that would is never met.
 *	EBADF	the file is not open for reading and writing
 *	EBUSY	a span is reserved or peeked, or a call on the file moves data
 *	ENOTCONN the peer has not opened the channel yet: WAIT for it
 *	EPERM	the file was not opened with O_EXCL
 */
#define IVRING_IOC_TAKE_INDICES	_IO(IVRING_IOC_MAGIC, 0x0c)
/*
 * RING: ring the peer's doorbell for this channel, as ivring_tx_publish() and
 * ivring_rx_publish() say when they return true.
 *	EPERM	IVRING_IOC_TAKE_INDICES was not called
 */
#define IVRING_IOC_RING		_IO(IVRING_IOC_MAGIC, 0x0d)

/**
 * struct ivring_host_attach - IVRING_HOST_IOC_ATTACH
 * @flags: zero
 * @memfd: the region: a memfd sealed against shrinking and growing, with a
 *	superblock in it
 * @id: own ivshmem ID, 0..65535
 * @vectors: number of eventfds, 1..256
 * @eventfds: user pointer to __s32 [@vectors]: the eventfds that the peer rings
 * @link: out: number of the new link
 * @reserved: zero
 */
struct ivring_host_attach {
	__u32 flags;
	__s32 memfd;
	__u32 id;
	__u32 vectors;
	__u64 eventfds;
	__u32 link;
	__u32 reserved[5];
};

/**
 * struct ivring_host_peer - IVRING_HOST_IOC_PEER_ADD, _PEER_DEL
 * @flags: zero
 * @id: the peer's ivshmem ID, 0..65535
 * @vectors: number of eventfds, 1..256 (PEER_DEL: zero)
 * @reserved0: zero
 * @eventfds: user pointer to __s32 [@vectors]: the eventfds that ring the peer
 *	(PEER_DEL: zero)
 * @reserved: zero
 */
struct ivring_host_peer {
	__u32 flags;
	__u32 id;
	__u32 vectors;
	__u32 reserved0;
	__u64 eventfds;
	__u64 reserved[3];
};

/*
 * ATTACH: make the memory a link on side 0. One link per open of
 * /dev/ivring-host, and per memory; closing the file detaches it. Needs CAP_SYS_ADMIN.
 *	EPERM		the caller lacks CAP_SYS_ADMIN
 *	EBUSY		this file has a link already, or the memory is a link already
 *			by another file
 *	EBADF		@memfd or an eventfd is not an open file
 *	EINVAL		@id or @vectors out of range; an fd in @eventfds is no
 *			eventfd
 *	EMEDIUMTYPE	@memfd is no memfd; a file of tmpfs or hugetlbfs is as good,
 *			but then for its seals
 *	ETXTBSY		@memfd is not sealed against shrinking and growing
 *	EFBIG		size of @memfd is no power of two, or out of range
 *	EBADMSG		no ivring superblock in the region (magic)
 *	EPROTONOSUPPORT	its version or a layout feature is unknown
 *	ENOTUNIQ	its geometry is impossible for its size
 *	EACCES, EPERM	@memfd is sealed against writing or not open for it
 *	EFAULT		@eventfds or the argument is a bad pointer; or the memory has
 *			pages that are not to be had (vm.overcommit_memory, a limit of
 *			huge pages), or that another thread of the caller unmapped
 *	ESTALE		the memory changed under this call: a hole was punched, or
 *			another thread of the caller remapped it
 *	EINTR		a signal came while the memory was pinned, or another call on
 *			the file, which these wait for, took its time
 *	ENOMEM		no memory, or over RLIMIT_MEMLOCK
 *	ENOSPC		no link number is free
 */
#define IVRING_HOST_IOC_ATTACH		_IOWR(IVRING_IOC_MAGIC, 0x40, struct ivring_host_attach)
/*
 * PEER_ADD: a peer connected; these eventfds ring it. There is at most one.
 *	ENXIO	nothing is attached
 *	EBUSY	there is a peer already
 *	EINVAL	@id is the own ID; else as ATTACH
 */
#define IVRING_HOST_IOC_PEER_ADD	_IOW(IVRING_IOC_MAGIC, 0x41, struct ivring_host_peer)
/*
 * PEER_DEL: the peer disconnected. Its conversations end with ECONNRESET.
 *	ENXIO	nothing is attached
 *	ENOENT	there is no peer with this ID
 */
#define IVRING_HOST_IOC_PEER_DEL	_IOW(IVRING_IOC_MAGIC, 0x42, struct ivring_host_peer)

#endif /* _UAPI_LINUX_IVRING_H */
