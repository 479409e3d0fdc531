// SPDX-License-Identifier: GPL-2.0
/*
 * What modules and devices do when somebody uses them, over and over: a channel is
 * open, mapped, and slept on in every call it has, when its module shall go (which is
 * refused), and when its link goes (which all of them notice).
 *
 *	users loop DIRECTORY ROUNDS	loads and unloads the modules that are there
 *	users host ROUNDS		attaches and detaches a link
 *	users guest DEVICE ROUNDS	binds and unbinds the PCI device, while on the host ...
 *	users peer LABEL ROUNDS		... this uses the link of that label
 */
#include "pair.h"
#include "peer.h"
#include "sleepers.h"

#define NOTICE_MS	2000

/* On the real pair: the guest's users, the host's, and what tells that those are there */
enum { OF_GUEST, OF_HOST, READY, PAIR_CHANNELS };

static unsigned int round;
static int slow = 1;

#define NEED(cond) do {							\
	if (!(cond)) {							\
		printf("# round %u: line %d: %s: %s\n", round, __LINE__, #cond,	\
		       strerror(errno));				\
		exit(1);						\
	}								\
} while (0)

/* ---- modules ---- */

static int module_load(const char *dir, const char *name, const char *args)
{
	char path[256];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s.ko", dir, name);
	fd = SYS(open(path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return fd;
	ret = SYS(syscall(SYS_finit_module, fd, args, 0));
	close(fd);
	return ret;
}

/* As rmmod(8) does: it never waits. */
static int module_unload(const char *name)
{
	return SYS(syscall(SYS_delete_module, name, O_NONBLOCK));
}

/* ---- users ---- */

struct users {
	pid_t sleepers[SLEEPERS];
	pid_t mapper;
	volatile int *mapped;	/* how often the mapper went through its mapping */
};

/* Ends in SIGBUS, when the memory is taken away. */
static int map_and_touch(int fd, volatile int *mapped)
{
	volatile char *tx = ch_map(fd, true), *rx = ch_map(fd, false);
	struct ivring_channel_info info;
	size_t i;

	if (!tx || !rx || ch_info(fd, &info))
		return 98;
	for (;; nap(), ++*mapped)
		for (i = 0; i < info.map_size; i += 4096)
			tx[i] = rx[i];
}

static bool mapper_goes_on(const struct users *u)
{
	int before = *u->mapped;

	return wait_until(*u->mapped > before + 1, PATIENCE_MS);
}

static void users_start(struct users *u, int fd, size_t ring)
{
	u->mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(u->mapped != MAP_FAILED);
	u->mapper = child_run(map_and_touch(fd, u->mapped));
	NEED(mapper_goes_on(u));
	NEED(sleepers_start(fd, ring, round % 2, u->sleepers));
}

/* Nothing has happened to them. */
static bool users_sleep(const struct users *u)
{
	int i;

	for (i = 0; i < SLEEPERS; i++)
		if (waitpid(u->sleepers[i], NULL, WNOHANG))
			return false;
	return mapper_goes_on(u);
}

static void users_end(struct users *u)
{
	munmap((void *)u->mapped, 4096);
}

static void users_kill(struct users *u)
{
	sleepers_kill(u->sleepers);
	kill(u->mapper, SIGKILL);
	child_end(u->mapper, PATIENCE_MS);
	users_end(u);
}

/* The link is gone: everybody is told, and soon. */
static void users_lose(struct users *u, int fd)
{
	NEED(sleepers_end(u->sleepers, ENODEV, NOTICE_MS * slow) == SLEEPERS);
	NEED(child_end(u->mapper, NOTICE_MS * slow) == -(1000 + SIGBUS));
	NEED(all_fail(fd, -ENODEV));
	users_end(u);
}

static size_t ring_of(int fd)
{
	struct ivring_channel_info info;

	NEED(!ch_info(fd, &info));
	return info.ring_size;
}

/* ---- load and unload ---- */

static void loop_round(const char *dir)
{
	struct users u;
	struct ends e;
	int a, b;

	NEED(!module_load(dir, "ivring", ""));
	NEED(!module_load(dir, "ivring_loop", "pairs=1 size=1048576"));
	NEED(!ends_find(&e, 0));
	a = ends_open(&e, 0, O_RDWR);
	b = ends_open(&e, 1, O_RDWR);
	NEED(a >= 0 && b >= 0 && !ch_connected(a) && !ch_connected(b));
	users_start(&u, a, ring_of(a));

	NEED(module_unload("ivring_loop") == -EWOULDBLOCK);
	NEED(module_unload("ivring") == -EWOULDBLOCK);
	NEED(users_sleep(&u));
	NEED(link_attr_is(e.link[0], "state", "up"));

	/* The last of them takes a moment; nothing else has to be done. */
	close(a);
	close(b);
	NEED(module_unload("ivring_loop") == -EWOULDBLOCK);
	users_kill(&u);
	NEED(wait_until(!module_unload("ivring_loop"), PATIENCE_MS));
	NEED(!module_unload("ivring"));
}

/* ---- attach and detach ---- */

static void host_round(void)
{
	struct peer_channel c;
	struct users u;
	struct peer p;
	int64_t start;
	int fd, link;

	NEED(!peer_create(&p));
	child_drops = p.r.host;
	peer_publish(&p);
	NEED(peer_link_is(&p, "up"));
	peer_channel_init(&p, &c, TALK_CHANNEL);
	NEED(!talk_connect(&p, &c, &fd));
	link = link_open(p.link, O_RDONLY);
	NEED(link >= 0);
	users_start(&u, fd, p.geo.ring_size);

	start = now_ns();
	close(p.r.host);
	p.r.host = -1;
	NEED(now_ns() - start < MS(NOTICE_MS) * slow);
	users_lose(&u, fd);
	NEED(link_find("test", 0) < 0);
	NEED(ch_poll(link, POLLIN, 0) == (POLLERR | POLLHUP));
	/* There is code yet that the open files need. */
	NEED(module_unload("ivring_host") == -EWOULDBLOCK);
	NEED(module_unload("ivring") == -EWOULDBLOCK);
	close(fd);
	close(link);
	region_destroy(&p.r);
}

/* ---- bind and unbind, with a host that uses the same link ---- */

static void open_all(int link, int fd[PAIR_CHANNELS])
{
	int i;

	for (i = 0; i < PAIR_CHANNELS; i++) {
		fd[i] = channel_open(link, i, O_RDWR);
		NEED(fd[i] >= 0);
	}
	for (i = 0; i < PAIR_CHANNELS; i++)
		NEED(!ch_connected(fd[i]));
}

static void close_all(const int fd[PAIR_CHANNELS])
{
	int i;

	for (i = 0; i < PAIR_CHANNELS; i++)
		close(fd[i]);
}

static int driver_write(const char *what, const char *device)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/ivring_guest/%s", what);
	return write_file(path, device);
}

static int find_link(unsigned int side)
{
	int link;

	for (link = 0; link < 128; link++) {
		char text[8];

		snprintf(text, sizeof(text), "%u", side);
		if (link_attr_is(link, "side", text) && link_attr_is(link, "state", "up"))
			return link;
	}
	return -1;
}

static void guest_round(const char *device)
{
	int fd[PAIR_CHANNELS], link = -1;
	struct users u;
	int64_t start;
	char byte;

	NEED(!driver_write("bind", device));
	NEED(wait_until((link = find_link(1)) >= 0, PATIENCE_MS));
	open_all(link, fd);
	users_start(&u, fd[OF_GUEST], ring_of(fd[OF_GUEST]));
	NEED(read(fd[READY], &byte, 1) == 1);
	NEED(module_unload("ivring_guest") == -EWOULDBLOCK);
	NEED(users_sleep(&u));

	start = now_ns();
	NEED(!driver_write("unbind", device));
	NEED(now_ns() - start < MS(NOTICE_MS) * slow);
	users_lose(&u, fd[OF_GUEST]);
	NEED(all_fail(fd[OF_HOST], -ENODEV));
	NEED(module_unload("ivring_guest") == -EWOULDBLOCK);
	close_all(fd);
}

static void peer_round(const char *label)
{
	int fd[PAIR_CHANNELS], link = link_find(label, 0);
	struct users u;

	NEED(link >= 0);
	open_all(link, fd);
	users_start(&u, fd[OF_HOST], ring_of(fd[OF_HOST]));
	NEED(write(fd[READY], "r", 1) == 1);
	/* Some time later the guest lets go; our memory stays. */
	NEED(sleepers_end(u.sleepers, ECONNRESET, PATIENCE_MS) == SLEEPERS);
	NEED(mapper_goes_on(&u));
	NEED(all_fail(fd[OF_HOST], -ECONNRESET) && all_fail(fd[OF_GUEST], -ECONNRESET));
	kill(u.mapper, SIGKILL);
	child_end(u.mapper, PATIENCE_MS);
	users_end(&u);
	close_all(fd);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "", *text = getenv("LAB_SLOW");
	struct rlimit rlim = { 4096, 4096 };
	unsigned int rounds = argc > 2 ? atoi(argv[argc - 1]) : 0;

	if (text)
		slow = atoi(text);
	setrlimit(RLIMIT_NOFILE, &rlim);
	setlinebuf(stdout);
	for (round = 1; round <= rounds; round++) {
		if (!strcmp(mode, "loop") && argc == 4)
			loop_round(argv[2]);
		else if (!strcmp(mode, "host") && argc == 3)
			host_round();
		else if (!strcmp(mode, "guest") && argc == 4)
			guest_round(argv[2]);
		else if (!strcmp(mode, "peer") && argc == 4)
			peer_round(argv[2]);
		else
			rounds = 0;
	}
	if (rounds)
		return 0;
	fprintf(stderr, "usage: users loop DIRECTORY | host | guest DEVICE | peer LABEL ROUNDS\n");
	return 2;
}
