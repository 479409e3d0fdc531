// SPDX-License-Identifier: GPL-2.0
/*
 * Whatever user space may throw at the device nodes, from several threads and on
 * the same files at once. Nothing is asserted of what each call returns: the kernel
 * must stay clean, which its log tells, every call must end, and channels must work
 * afterwards.
 *
 *	IVRING_TEST_FUZZ_SECONDS	how long, for each kind of node (5)
 *	IVRING_TEST_FUZZ_SEED		to have the same random numbers again
 */
#include "pair.h"
#include "region.h"
#include <pthread.h>
#include <setjmp.h>

#define THREADS		4
#define SLOTS		24
#define KICK_NS		5000000
#define BUF_SIZE	(256UL << 10)

struct fuzz {
	pthread_t thread;
	uint64_t rng;
	uint64_t calls;
	char *buf;
	char *rdonly;		/* a page */
	char *map;
	size_t map_len;
	bool map_writable;
	sigjmp_buf fault;
};

/* What all threads have in common. */
static int slots[SLOTS];
static char nodes[256][64];
static unsigned int nr_nodes;
static const struct region *region;
static int some_file;		/* a megabyte or so */
static bool over;

static __thread struct fuzz *self_fuzz;

/* ---- random numbers ---- */

static uint64_t rnd(struct fuzz *z)
{
	z->rng ^= z->rng << 13;
	z->rng ^= z->rng >> 7;
	z->rng ^= z->rng << 17;
	return z->rng * 0x2545f4914f6cdd1dULL;
}

static uint64_t below(struct fuzz *z, uint64_t n)
{
	return (rnd(z) >> 11) % n;
}

/* Numbers that code stumbles over, and some that it should not. */
static uint64_t odd_number(struct fuzz *z)
{
	switch (below(z, 8)) {
	case 0:
		return 0;
	case 1:
		return 1 + below(z, 16);
	case 2:
		return 1ULL << below(z, 64);
	case 3:
		return (1ULL << below(z, 64)) - 1;
	case 4:
		return -below(z, 5);
	case 5:
		return below(z, 1 << 20);
	case 6:
		return below(z, 64) << 12;
	default:
		return rnd(z);
	}
}

static void *odd_pointer(struct fuzz *z)
{
	switch (below(z, 12)) {
	case 0:
		return NULL;
	case 1:
		return (void *)odd_number(z);
	case 2:
		return z->rdonly;
	case 3:
		return z->rdonly + 4096 - below(z, 64);	/* over its end */
	case 4:
		return z->map ?: z->buf;
	default:
		return z->buf;
	}
}

static int any_fd(struct fuzz *z)
{
	return __atomic_load_n(&slots[below(z, SLOTS)], __ATOMIC_RELAXED);
}

/* An fd is closed once, by who took it out: the number may be another file's at once. */
static void put_fd(struct fuzz *z, int fd)
{
	int old = __atomic_exchange_n(&slots[below(z, SLOTS)], fd, __ATOMIC_RELAXED);

	if (old >= 0)
		close(old);
}

/* ---- calls ---- */

static void fuzz_open(struct fuzz *z)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR };
	int flags = modes[below(z, 4)] | O_CLOEXEC;

	if (below(z, 2))
		flags |= O_NONBLOCK;
	if (!below(z, 8))
		flags |= O_EXCL;
	if (!below(z, 8))
		flags |= O_DIRECT;
	put_fd(z, open(nodes[below(z, nr_nodes)], flags));
}

static void fuzz_close(struct fuzz *z)
{
	put_fd(z, -1);
}

static void fuzz_dup(struct fuzz *z)
{
	put_fd(z, fcntl(any_fd(z), F_DUPFD_CLOEXEC, 100));
}

static void fill_span(struct fuzz *z, struct ivring_span *s)
{
	*s = (struct ivring_span) { .min = 1 + below(z, 4096), .timeout_ns = below(z, 2000000) };
	/* What a RESERVE or PEEK just said, or something like it */
	s->len = below(z, 3) ? below(z, 8192) : odd_number(z);
	s->offset = below(z, 3) ? 0 : odd_number(z);
	if (!below(z, 4))
		s->min = odd_number(z);
	if (!below(z, 8))
		s->timeout_ns = odd_number(z);
	if (!below(z, 16))
		s->flags = odd_number(z);
}

static void fill_wait(struct fuzz *z, struct ivring_wait *w)
{
	*w = (struct ivring_wait) {
		.events = below(z, 16), .rx_min = 1 + below(z, 4096), .tx_min = 1 + below(z, 4096),
		.timeout_ns = below(z, 2000000),
	};
	if (!below(z, 4))
		w->rx_min = odd_number(z);
	if (!below(z, 4))
		w->tx_min = odd_number(z);
	if (!below(z, 8))
		w->timeout_ns = odd_number(z);
	if (!below(z, 16))
		w->events = odd_number(z);
}

/* Into and out of one file, which does not grow without end. */
static void fill_file(struct fuzz *z, struct ivring_file_xfer *x)
{
	*x = (struct ivring_file_xfer) {
		.fd = below(z, 4) ? some_file : any_fd(z), .offset = below(z, 1 << 20),
		.len = below(z, 1 << 17), .timeout_ns = below(z, 2000000),
	};
	if (!below(z, 8))
		x->offset = odd_number(z);
	if (!below(z, 8))
		x->len = odd_number(z);
	/* What waits for ever must be rare: half of all numbers are negative. */
	if (!below(z, 16))
		x->timeout_ns = odd_number(z);
}

static void fill_options(struct fuzz *z, struct ivring_options *o)
{
	*o = (struct ivring_options) {
		.spin_max_ns = odd_number(z), .rx_min = 1 + below(z, 64), .tx_min = 1 + below(z, 64),
	};
	if (!below(z, 4))
		o->rx_min = odd_number(z);
	if (!below(z, 4))
		o->tx_min = odd_number(z);
	if (!below(z, 16))
		o->flags = odd_number(z);
}

static void fill_attach(struct fuzz *z, struct ivring_host_attach *a)
{
	if (!region)
		return;
	*a = region_attach_args(region);
	if (!below(z, 4))
		a->vectors = odd_number(z);
	if (!below(z, 8))
		a->id = odd_number(z);
	if (!below(z, 8))
		a->memfd = below(z, 2) ? any_fd(z) : region->ears[0];
	if (!below(z, 8))
		a->eventfds = (uintptr_t)odd_pointer(z);
}

static void fill_peer(struct fuzz *z, struct ivring_host_peer *p)
{
	if (!region)
		return;
	*p = region_peer_args(region);
	if (!below(z, 2)) {
		p->vectors = 0;
		p->eventfds = 0;
	}
	if (!below(z, 8))
		p->id = odd_number(z);
	if (!below(z, 8))
		p->vectors = odd_number(z);
}

/* A command that exists, with an argument that could be one of its. */
static void fuzz_ioctl(struct fuzz *z)
{
	static const unsigned long commands[] = {
		IVRING_IOC_LINK_INFO, IVRING_IOC_CHANNEL_INFO, IVRING_IOC_RESERVE,
		IVRING_IOC_COMMIT, IVRING_IOC_PEEK, IVRING_IOC_RELEASE, IVRING_IOC_WAIT,
		IVRING_IOC_SEND_FILE, IVRING_IOC_RECV_FILE, IVRING_IOC_SET_OPTIONS,
		IVRING_IOC_GET_OPTIONS, IVRING_IOC_TAKE_INDICES, IVRING_IOC_RING, FIONREAD,
		IVRING_HOST_IOC_ATTACH, IVRING_HOST_IOC_PEER_ADD, IVRING_HOST_IOC_PEER_DEL,
	};
	unsigned long cmd = commands[below(z, ARRAY_LEN(commands))];

	/* For the rest of the conversation: now and then only */
	if (!below(z, 32))
		cmd = IVRING_IOC_SHUTDOWN;
	/* Now and then what the last call left there is the argument of the next. */
	if (below(z, 4)) {
		switch (cmd) {
		case IVRING_IOC_WAIT:
			fill_wait(z, (void *)z->buf);
			break;
		case IVRING_IOC_SEND_FILE:
		case IVRING_IOC_RECV_FILE:
			fill_file(z, (void *)z->buf);
			break;
		case IVRING_IOC_SET_OPTIONS:
			fill_options(z, (void *)z->buf);
			break;
		case IVRING_HOST_IOC_ATTACH:
			fill_attach(z, (void *)z->buf);
			break;
		case IVRING_HOST_IOC_PEER_ADD:
		case IVRING_HOST_IOC_PEER_DEL:
			fill_peer(z, (void *)z->buf);
			break;
		default:
			fill_span(z, (void *)z->buf);
		}
	}
	ioctl(any_fd(z), cmd, below(z, 8) ? z->buf : odd_pointer(z));
}

static void fuzz_ioctl_any(struct fuzz *z)
{
	unsigned long cmd = _IOC(below(z, 4), below(z, 8) ? IVRING_IOC_MAGIC : below(z, 256),
				 below(z, 2) ? below(z, 0x44) : below(z, 256),
				 below(z, 2) ? below(z, 256) : below(z, 1 << 14));
	int i;

	for (i = 0; i < 64; i++)
		((uint64_t *)z->buf)[i] = odd_number(z);
	ioctl(any_fd(z), cmd, odd_pointer(z));
}

static size_t odd_size(struct fuzz *z)
{
	return below(z, 4) ? below(z, 5000) : below(z, 4) ? below(z, BUF_SIZE) : odd_number(z);
}

static void fuzz_read(struct fuzz *z)
{
	struct iovec iov[3];
	int i;

	if (below(z, 2)) {
		read(any_fd(z), odd_pointer(z), odd_size(z));
		return;
	}
	for (i = 0; i < 3; i++)
		iov[i] = (struct iovec) { odd_pointer(z), below(z, 3000) };
	readv(any_fd(z), iov, 1 + below(z, 3));
}

static void fuzz_write(struct fuzz *z)
{
	struct iovec iov[3];
	int i;

	if (below(z, 2)) {
		write(any_fd(z), odd_pointer(z), odd_size(z));
		return;
	}
	for (i = 0; i < 3; i++)
		iov[i] = (struct iovec) { odd_pointer(z), below(z, 3000) };
	writev(any_fd(z), iov, 1 + below(z, 3));
}

static void fuzz_splice(struct fuzz *z)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK))
		return;
	if (below(z, 2)) {
		splice(any_fd(z), NULL, p[1], NULL, below(z, 70000), below(z, 16));
	} else {
		write(p[1], z->buf, 1 + below(z, 4096));
		splice(p[0], NULL, any_fd(z), NULL, below(z, 70000), below(z, 16));
	}
	close(p[0]);
	close(p[1]);
}

static void fuzz_poll(struct fuzz *z)
{
	struct pollfd p[3];
	int i;

	for (i = 0; i < 3; i++)
		p[i] = (struct pollfd) { .fd = any_fd(z), .events = below(z, 1 << 16) };
	poll(p, 3, below(z, 3));
}

static void fuzz_fcntl(struct fuzz *z)
{
	int fd = any_fd(z);

	switch (below(z, 4)) {
	case 0:
		fcntl(fd, F_SETFL, below(z, 2) ? O_NONBLOCK : 0);
		break;
	case 1:
		lseek(fd, odd_number(z), below(z, 6));
		break;
	case 2:
		fsync(fd);
		break;
	default:
		ftruncate(fd, odd_number(z));
	}
}

static void fuzz_unmap(struct fuzz *z)
{
	if (z->map)
		munmap(z->map, z->map_len);
	z->map = NULL;
}

static void fuzz_map(struct fuzz *z)
{
	int prot = below(z, 2) ? PROT_READ : PROT_READ | PROT_WRITE;
	size_t len = 4096 * (1 + below(z, 128));
	off_t offset = below(z, 2) ? 0 : below(z, 2) ? 4096 * below(z, 4096) : odd_number(z);
	void *p = mmap(NULL, len, prot, below(z, 8) ? MAP_SHARED : MAP_PRIVATE, any_fd(z), offset);

	if (p == MAP_FAILED)
		return;
	fuzz_unmap(z);
	z->map = p;
	z->map_len = len;
	z->map_writable = prot & PROT_WRITE;
}

static void fuzz_touch(struct fuzz *z)
{
	volatile char *p = z->map;
	int i;

	if (!p || sigsetjmp(z->fault, 1))
		return;
	for (i = 0; i < 8; i++) {
		size_t at = below(z, z->map_len);

		if (z->map_writable && below(z, 2))
			p[at] = i;
		else
			(void)p[at];
	}
}

static void fuzz_remap(struct fuzz *z)
{
	void *p;

	if (!z->map)
		return;
	switch (below(z, 4)) {
	case 0:
		if (!mprotect(z->map, z->map_len, PROT_READ))
			z->map_writable = false;
		break;
	case 1:
		if (!mprotect(z->map, z->map_len, PROT_READ | PROT_WRITE))
			z->map_writable = true;
		break;
	case 2:
		madvise(z->map, z->map_len, below(z, 26));
		break;
	default:
		p = mremap(z->map, z->map_len, z->map_len, MREMAP_MAYMOVE);
		if (p != MAP_FAILED)
			z->map = p;
	}
}

static const struct {
	void (*call)(struct fuzz *z);
	unsigned int weight;
} calls[] = {
	{ fuzz_open, 12 }, { fuzz_close, 4 }, { fuzz_dup, 2 }, { fuzz_ioctl, 30 },
	{ fuzz_ioctl_any, 8 }, { fuzz_read, 12 }, { fuzz_write, 12 }, { fuzz_splice, 3 },
	{ fuzz_poll, 4 }, { fuzz_fcntl, 3 }, { fuzz_map, 5 }, { fuzz_touch, 5 },
	{ fuzz_remap, 2 }, { fuzz_unmap, 1 },
};

/* ---- threads ---- */

static void on_fault(int sig)
{
	struct fuzz *z = self_fuzz;

	/* Only fuzz_touch() may fault; the kernel's own accesses give EFAULT. */
	if (!z)
		_exit(125);
	siglongjmp(z->fault, 1);
}

static void on_kick(int sig)
{
}

static void *fuzz_thread(void *arg)
{
	struct fuzz *z = arg;
	unsigned int i, total = 0;

	self_fuzz = z;
	for (i = 0; i < ARRAY_LEN(calls); i++)
		total += calls[i].weight;
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		unsigned int pick = below(z, total);

		for (i = 0; pick >= calls[i].weight; i++)
			pick -= calls[i].weight;
		calls[i].call(z);
		z->calls++;
	}
	return NULL;
}

static int fuzz_begin(struct fuzz *z, uint64_t seed)
{
	z->rng = seed;
	/* A seed of few bits needs some rounds to become many. */
	while (below(z, 16))
		;
	z->buf = calloc(1, BUF_SIZE);
	z->rdonly = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!z->buf || z->rdonly == MAP_FAILED)
		return -ENOMEM;
	return -pthread_create(&z->thread, NULL, fuzz_thread, z);
}

/*
 * A call that waits ends by a signal. One that came just before the wait is of no
 * use, hence many of them.
 */
static void fuzz_kick(struct fuzz *z, int64_t until)
{
	struct timespec ts = { .tv_nsec = KICK_NS };
	int i, running = THREADS;

	while (running) {
		nanosleep(&ts, NULL);
		if (now_ns() > until)
			__atomic_store_n(&over, true, __ATOMIC_RELAXED);
		for (i = 0; i < THREADS; i++) {
			if (!z[i].thread)
				continue;
			pthread_kill(z[i].thread, SIGUSR1);
			if (over && !pthread_tryjoin_np(z[i].thread, NULL)) {
				z[i].thread = 0;
				running--;
			}
		}
	}
}

/* In a child, whose end takes with it all that was opened and mapped. */
static int fuzz_child(uint64_t seed, int seconds)
{
	static struct fuzz z[THREADS];
	struct sigaction kick = { .sa_handler = on_kick }, fault = { .sa_handler = on_fault };
	uint64_t total = 0;
	int i, ret;

	sigaction(SIGUSR1, &kick, NULL);
	sigaction(SIGBUS, &fault, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < SLOTS; i++)
		slots[i] = -1;
	for (i = 0; i < THREADS; i++) {
		ret = fuzz_begin(&z[i], seed + i * 0x9e3779b97f4a7c15ULL);
		if (ret)
			return ret;
	}
	fuzz_kick(z, now_ns() + MS(1000) * seconds);
	for (i = 0; i < THREADS; i++)
		total += z[i].calls;
	printf("# %ju calls\n", (uintmax_t)total);
	fflush(stdout);
	return 0;
}

/* ---- tests ---- */

static int seconds(void)
{
	const char *text = getenv("IVRING_TEST_FUZZ_SECONDS");

	return text ? atoi(text) : 5;
}

static uint64_t pick_seed(struct __test_metadata *_metadata)
{
	const char *text = getenv("IVRING_TEST_FUZZ_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : now_ns();

	TH_LOG("IVRING_TEST_FUZZ_SEED=%#jx", (uintmax_t)seed);
	return seed ?: 1;
}

static int fuzz(uint64_t seed)
{
	/* Not the default time of a child; this one's is known. */
	pid_t pid = child_run(({ alarm(0); fuzz_child(seed, seconds()); }));

	return child_end(pid, seconds() * 1000 + 2 * PATIENCE_MS);
}

static void add_node(const char *path)
{
	if (nr_nodes < ARRAY_LEN(nodes) && !access(path, F_OK))
		snprintf(nodes[nr_nodes++], sizeof(nodes[0]), "%s", path);
}

/* Of each link the node and a few channels: who is to meet must find each other. */
static void add_link(int link)
{
	char path[64];
	int c;

	snprintf(path, sizeof(path), "/dev/ivring%d", link);
	add_node(path);
	for (c = 0; c < 2; c++) {
		snprintf(path, sizeof(path), "/dev/ivring%dc%d", link, c);
		add_node(path);
	}
}

/* One conversation from open to close. What an earlier one left may come first. */
static int converse(const int *link, unsigned int ch)
{
	int fd[2], ret;

	fd[0] = channel_open(link[0], ch, O_RDWR);
	fd[1] = channel_open(link[1], ch, O_RDWR);
	ret = fd[0] < 0 ? fd[0] : fd[1] < 0 ? fd[1] : 0;
	if (!ret)
		ret = ch_wait(fd[0], IVRING_WAIT_CONNECTED, MS(500));
	if (!ret)
		ret = ch_wait(fd[1], IVRING_WAIT_CONNECTED, MS(500));
	if (!ret)
		ret = pattern_write(fd[0], 3000, 1000, ch, 0);
	if (!ret)
		ret = ch_wait(fd[1], IVRING_WAIT_IN, MS(500));
	if (!ret)
		ret = pattern_read(fd[1], 3000, 1000, ch, 0);
	close(fd[0]);
	close(fd[1]);
	return ret;
}

FIXTURE(fuzz) {
	int link[2][2];		/* both ends of up to two pairs */
	int pairs;
};

FIXTURE_SETUP(fuzz)
{
	char label[16];
	int i;

	nr_nodes = 0;
	region = NULL;
	for (self->pairs = 0; self->pairs < 2; self->pairs++) {
		snprintf(label, sizeof(label), "loop%d", self->pairs);
		for (i = 0; i < 2; i++)
			self->link[self->pairs][i] = link_find(label, i);
		if (self->link[self->pairs][0] < 0 || self->link[self->pairs][1] < 0)
			break;
		for (i = 0; i < 2; i++)
			add_link(self->link[self->pairs][i]);
	}
}

FIXTURE_TEARDOWN(fuzz)
{
}

/* Each does nothing without its module. Of time child_end() takes care. */
TEST_F_TIMEOUT(fuzz, loop_links, 1 << 16)
{
	int p, c;

	if (!self->pairs)
		return;
	ASSERT_EQ(0, fuzz(pick_seed(_metadata)));
	for (p = 0; p < self->pairs; p++)
		for (c = 0; c < 2; c++)
			EXPECT_TRUE(wait_until(!converse(self->link[p], c), PATIENCE_MS)) {
				TH_LOG("channel %d of pair %d does not work any more", c, p);
			}
}

/* Attached, detached and told of peers, and the links that come of it used. */
TEST_F_TIMEOUT(fuzz, host, 1 << 16)
{
	struct region r;
	int i;

	if (access("/dev/ivring-host", R_OK | W_OK))
		return;
	ASSERT_EQ(0, region_create(&r, 1 << 20, 2));
	region = &r;
	nr_nodes = 0;
	add_node("/dev/ivring-host");
	/* Nodes that come and go: theirs is the number a link gets next. */
	ASSERT_EQ(0, region_attach(&r));
	add_link(r.link);
	for (i = 0; i < 3; i++)
		add_node("/dev/ivring-host");
	close(r.host);
	EXPECT_EQ(0, fuzz(pick_seed(_metadata)));
	r.host = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, r.host);
	EXPECT_EQ(0, region_attach(&r));
	region_destroy(&r);
}

int main(int argc, char **argv)
{
	struct rlimit rlim = { 4096, 4096 };

	setrlimit(RLIMIT_NOFILE, &rlim);
	some_file = memfd_create("ioctl-fuzz", MFD_CLOEXEC);
	if (some_file < 0 || ftruncate(some_file, 1 << 20))
		ksft_exit_fail_msg("memfd: %m\n");
	if (link_find("loop0", 0) < 0 && access("/dev/ivring-host", R_OK | W_OK))
		ksft_exit_skip("neither loop links nor /dev/ivring-host: insmod either\n");
	return test_run(argc, argv);
}
