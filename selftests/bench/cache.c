// SPDX-License-Identifier: GPL-2.0
/*
 * The CPU's caches, and the window that suits them.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

static bool read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "r");
	bool good;

	if (!f)
		return false;
	good = fgets(line, size, f);
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return good;
}

static bool read_cache(int cpu, int index, const char *what, char *line, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cache/index%d/%s", cpu,
		 index, what);
	return read_line(path, line, size);
}

uint64_t cache_size(int cpu, int level)
{
	char line[64], unit;
	unsigned long long n;
	int index, l;

	for (index = 0; read_cache(cpu, index, "level", line, sizeof(line)); index++) {
		if (sscanf(line, "%d", &l) != 1 || l != level)
			continue;
		if (!read_cache(cpu, index, "type", line, sizeof(line)) ||
		    !strcmp(line, "Instruction"))
			continue;
		if (!read_cache(cpu, index, "size", line, sizeof(line)) ||
		    sscanf(line, "%llu%c", &n, &unit) != 2)
			return 0;
		return unit == 'M' ? n * MIB : unit == 'K' ? n * KIB : n;
	}
	return 0;
}

/*
 * What is in flight was written by one core and is read by another. Up to the
 * size of a core's own cache it still lies there, and is slower to get at than
 * in a cache that both share; far beyond, it goes to memory and back. So twice
 * the core's own (level 2), and in any case some 256 KiB, below which the two
 * get into step and wait for one another.
 */
uint64_t cache_window(int cpu)
{
	uint64_t size = cache_size(cpu, 2);
	uint64_t window = 256 * KIB;

	if (!size)
		return 2 * MIB;
	while (window < 2 * size && window < 4 * MIB)
		window *= 2;
	return window;
}

bool cache_siblings(int a, int b)
{
	char path[128], x[256], y[256];

	snprintf(path, sizeof(path),
		 "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", a);
	if (!read_line(path, x, sizeof(x)))
		return false;
	snprintf(path, sizeof(path),
		 "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", b);
	return read_line(path, y, sizeof(y)) && !strcmp(x, y);
}
