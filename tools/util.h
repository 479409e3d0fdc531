/* SPDX-License-Identifier: GPL-2.0 */
/* Small things that several files need. */
#ifndef IVRING_UTIL_H
#define IVRING_UTIL_H

#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define NSEC_PER_SEC	1000000000LL
#define NSEC_PER_MSEC	1000000LL

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Nanoseconds of the monotonic clock. */
int64_t now_ns(void);

/* "64M" and the like; K, M, G and T are powers of 1024. */
bool parse_size(const char *text, uint64_t *value);
/* Decimal, nothing behind it. */
bool parse_number(const char *text, uint64_t max, uint64_t *value);
/* Seconds, with a fraction if need be, as milliseconds. */
bool parse_seconds(const char *text, int *ms);

/* Says which option got an impossible value, or nothing when getopt has complained. */
void complain_option(const char *command, const struct option *longopts, int opt);

/* Overwrites what a terminal could take for a command. Returns @text. */
char *make_printable(char *text);
/* The same for a name that must not be changed: a copy in a rotating static buffer. */
const char *printable(const char *text);
/* The same for a log: a long name, as a peer might choose to fill the disk, is cut. */
#define PRINTABLE_CUT	120
const char *printable_cut(const char *text);

/*
 * pread(2) and pwrite(2), with a negative @pos read(2) and write(2), for memory that
 * may be part of a ring: a file system that takes hold of pages instead of copying
 * (9p without cache, FUSE with direct_io) cannot have that, and gets a buffer.
 */
ssize_t ring_pread(int fd, void *buf, size_t len, off_t pos);
ssize_t ring_pwrite(int fd, const void *buf, size_t len, off_t pos);

/* The process's umask; not while other threads create files. */
mode_t read_umask(void);

/* Deep trees take a file descriptor for each level: as many as this process may have. */
void files_raise_limit(void);

/* "ivring: ..." on stderr. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A line of a log that is read live: "ivring: ..." on stdout, flushed. */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The signal that asks this process to end, or zero. Every wait looks at it. */
extern volatile sig_atomic_t stop_signal;
/* Those that ask a process to end, and SIGCHLD: for processes that wait for others. */
void stop_signals(sigset_t *set);
/* SIGINT, SIGTERM and SIGHUP set stop_signal; a link that vanishes under a mapping ends us. */
void stop_install(void);
/*
 * While idle, such a signal ends the process at once, with exit code 0: nothing
 * is to be undone, and a wait that has no end could miss a mere flag.
 */
void stop_set_idle(bool idle);

#endif /* IVRING_UTIL_H */
