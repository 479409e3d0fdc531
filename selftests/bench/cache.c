// SPDX-License-Identifier: GPL-2.0
/*
 * The CPU's caches, for the sizes that follow from them.
 */
#include <stdio.h>
#include <string.h>

#include <ivring/tune.h>

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

uint64_t cache_window(int cpu)
{
	uint64_t l3 = cache_size(cpu, 3);

	return ivring_window_auto(cache_size(cpu, 2), l3, IVRING_WINDOW_AUTO_MAX);
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
