// SPDX-License-Identifier: GPL-2.0
#include "tempfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define TEMPFILE_TRIES		100
#define TEMPFILE_SUFFIX_SIZE	15	/* ".ivring-XXXXXX" and the NUL */

static struct tempfile * volatile tempfile_current;

static int make_name(struct tempfile *t, const char *final_name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char suffix[7] = "";
	uint8_t random[6];
	size_t i;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	for (i = 0; i < sizeof(random); i++)
		suffix[i] = letters[random[i] % (sizeof(letters) - 1)];
	/* A name that has the greatest length already is cut; it need not be told apart. */
	snprintf(t->name, sizeof(t->name), ".%.*s.ivring-%s",
		 (int)(sizeof(t->name) - TEMPFILE_SUFFIX_SIZE - 1), final_name, suffix);
	return 0;
}

int tempfile_create(struct tempfile *t, int dirfd, const char *final_name)
{
	int tries, ret;

	t->dirfd = dirfd;
	for (tries = 0; tries < TEMPFILE_TRIES; tries++) {
		ret = make_name(t, final_name);
		if (ret)
			return ret;
		t->fd = openat(dirfd, t->name,
			       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (t->fd >= 0) {
			tempfile_current = t;
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int tempfile_rename(struct tempfile *t, const char *final_name)
{
	int err = 0;

	/* Some file systems report a failed write no earlier than here. */
	if (close(t->fd))
		err = errno;
	t->fd = -1;
	if (!err && renameat(t->dirfd, t->name, t->dirfd, final_name))
		err = errno;
	if (err)
		unlinkat(t->dirfd, t->name, 0);
	tempfile_current = NULL;
	return -err;
}

void tempfile_discard(struct tempfile *t)
{
	if (t->fd >= 0) {
		close(t->fd);
		t->fd = -1;
	}
	unlinkat(t->dirfd, t->name, 0);
	tempfile_current = NULL;
}

void tempfile_emergency(void)
{
	struct tempfile *t = tempfile_current;

	if (t)
		unlinkat(t->dirfd, t->name, 0);
}
