// SPDX-License-Identifier: GPL-2.0
/*
 * scribble MODE FILE SECONDS [SEED]: a side of a link that has gone mad. FILE is the
 * shared memory as that side has it: resource2 of the device in a guest, the memfd of
 * the link server on a host; "-" is memory of its own, for a comparison with the same
 * work. What it does, over and over:
 *
 *	random	writes anything anywhere
 *	fields	writes what might be believed into every field of the control pages
 *	replay	writes back lines as they were some time ago
 *	flip	flips one bit of the data, a thousand times a second
 *	storm	rings: FILE is resource0, all vectors of peers 0 to 3
 *	ring	rings: FILE is /proc/PID of the link server, all eventfds that it has
 *
 * The same SEED does the same. Prints how many things it did.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <ivring/wire.h>

#define SNAPSHOTS	8
#define LINE		128
/* ivshmem-spec.txt, "PCI Registers": Doorbell, peer's ID << 16 | vector */
#define DOORBELL	12
#define OWN_SIZE	(64UL << 20)

static uint64_t state;
static uint8_t *memory;
static size_t size, control;
static int bells[64];
static size_t bell_count;
static uint8_t *snapshots[SNAPSHOTS];

static uint64_t next_random(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return state >> 33 | state << 31;
}

static void put(size_t offset, uint64_t v)
{
	WRITE_ONCE(*(uint64_t *)(memory + (offset & ~7UL) % size), v);
}

static uint64_t get(size_t offset)
{
	return READ_ONCE(*(uint64_t *)(memory + (offset & ~7UL) % size));
}

static void scribble_random(void)
{
	uint64_t r = next_random();

	/* Now and then where it hurts: nearly all of the memory is data. */
	put(r % 4 ? next_random() % size : next_random() % control, next_random());
}

static void scribble_fields(void)
{
	uint64_t r = next_random(), at = next_random() % control;
	const uint64_t values[] = {
		0, 1, 2, 3, 7, 4096, size, control, 1ULL << 31, 1ULL << 32, 1ULL << 63, ~0ULL,
		get(at) + 1, get(at) - 1, get(at) + 4096, get(at) ^ 1ULL << (r >> 32 & 63),
		get(next_random() % control),
	};

	put(at, values[r % (sizeof(values) / sizeof(values[0]))]);
}

static void scribble_replay(void)
{
	uint64_t r = next_random(), at = next_random() % control & ~(LINE - 1UL);
	uint8_t *snapshot = snapshots[r % SNAPSHOTS];
	size_t i;

	/* Some are taken anew. */
	if (r >> 8 & 1)
		memcpy(snapshot + at, memory + at, LINE);
	else
		for (i = 0; i < LINE; i += 8)
			put(at + i, *(uint64_t *)(snapshot + at + i));
}

static void scribble_flip(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t r = next_random();
	size_t at = control + next_random() % (size - control);

	put(at, get(at) ^ 1ULL << (r & 63));
	nanosleep(&pause, NULL);
}

static void scribble_storm(void)
{
	uint64_t r = next_random();

	WRITE_ONCE(*(uint32_t *)(memory + DOORBELL), (r & 3) << 16 | (r >> 8 & 7));
}

static void scribble_ring(void)
{
	eventfd_write(bells[next_random() % bell_count], 1);
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* A copy of each eventfd of the process, which cannot be opened by name */
static void take_bells(const char *proc)
{
	char path[512], target[64];
	struct dirent *entry;
	ssize_t len;
	DIR *dir;
	int pid;

	pid = syscall(SYS_pidfd_open, atoi(strrchr(proc, '/') + 1), 0);
	snprintf(path, sizeof(path), "%s/fd", proc);
	dir = opendir(path);
	if (pid < 0 || !dir)
		die(proc);
	while ((entry = readdir(dir)) && bell_count < sizeof(bells) / sizeof(bells[0])) {
		len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		if (strcmp(target, "anon_inode:[eventfd]"))
			continue;
		bells[bell_count] = syscall(SYS_pidfd_getfd, pid, atoi(entry->d_name), 0);
		if (bells[bell_count] >= 0)
			bell_count++;
	}
	closedir(dir);
	close(pid);
	if (!bell_count) {
		fprintf(stderr, "%s has no eventfds\n", proc);
		exit(2);
	}
}

/* The server made its memory immutable, which keeps those out who do not have it open. */
static void set_immutable(const char *path, bool immutable)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), flags;

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags))
		return;
	flags = immutable ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
}

static int open_memory(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0 || errno != EPERM)
		return fd;
	set_immutable(path, false);
	fd = open(path, O_RDWR | O_CLOEXEC);
	set_immutable(path, true);
	return fd;
}

static void map(const char *path)
{
	struct stat st = { .st_size = OWN_SIZE };
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;

	if (strcmp(path, "-")) {
		fd = open_memory(path);
		if (fd < 0 || fstat(fd, &st))
			die(path);
		flags = MAP_SHARED;
	}
	size = st.st_size;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
}

/* All that comes before the data, if there is a superblock to ask. */
static void find_control(void)
{
	struct ivring_wire_superblock sb;

	memcpy(&sb, memory, size < sizeof(sb) ? size : sizeof(sb));
	control = le64toh(sb.data_offset);
	if (control < 4096 || control > size)
		control = size < 1UL << 20 ? size : 1UL << 20;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*step)(void);
	} modes[] = {
		{ "random", scribble_random }, { "fields", scribble_fields },
		{ "replay", scribble_replay }, { "storm", scribble_storm },
		{ "ring", scribble_ring }, { "flip", scribble_flip },
	};
	void (*step)(void) = NULL;
	unsigned long long n = 0;
	double end;
	size_t i;

	for (i = 0; argc >= 4 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(argv[1], modes[i].name))
			step = modes[i].step;
	if (!step) {
		fprintf(stderr, "usage: scribble random|fields|replay|flip|storm|ring FILE "
			"SECONDS [SEED]\n");
		return 2;
	}
	state = argc > 4 ? strtoull(argv[4], NULL, 0) : 1;
	if (step == scribble_ring) {
		take_bells(argv[2]);
		map("-");
	} else {
		map(argv[2]);
	}
	find_control();
	for (i = 0; i < SNAPSHOTS; i++) {
		snapshots[i] = malloc(control + LINE);
		if (!snapshots[i])
			die("malloc");
		memcpy(snapshots[i], memory, control);
	}
	end = now() + strtod(argv[3], NULL);
	while (now() < end)
		for (i = 0; i < 1000; i++, n++)
			step();
	printf("%llu times\n", n);
	return 0;
}
