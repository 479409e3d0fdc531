// SPDX-License-Identifier: GPL-2.0
/* ls-links and info: look only. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "libivring.h"
#include "status.h"
#include "util.h"

static const struct option longopts[] = {
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Returns 0, a code to exit with, or -1 when there is nothing left to do. */
static int parse_options(int argc, char **argv, const char *usage, int arguments)
{
	int opt = getopt_long(argc, argv, "h", longopts, NULL);

	if (opt == 'h') {
		fputs(usage, stdout);
		return -1;
	}
	if (opt == -1 && argc - optind == arguments)
		return 0;
	fputs(usage, stderr);
	return STATUS_USAGE;
}

static const char *size_text(uint64_t size, char text[32])
{
	static const char units[] = "BKMGT";
	unsigned int unit = 0;

	while (size && !(size % 1024) && unit < 4) {
		size /= 1024;
		unit++;
	}
	if (unit)
		snprintf(text, 32, "%llu%c", (unsigned long long)size, units[unit]);
	else
		snprintf(text, 32, "%llu", (unsigned long long)size);
	return text;
}

int cmd_ls_links(int argc, char **argv)
{
	struct ivring_link_info *list, *info;
	char peer[16], size[32];
	size_t count, i;
	int ret;

	ret = parse_options(argc, argv, "Usage: ivring ls-links\n"
			    "Lists the links of this machine.\n", 0);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	ret = ivring_link_list(&list, &count);
	if (ret) {
		complain("ls-links: cannot look at the links in /dev: %s", strerror(-ret));
		return status_access(-ret, STATUS_NO_LINK);
	}
	if (!count && access(IVRING_SYSFS_CLASS, F_OK)) {
		complain("ls-links: there are no links: %s", ivring_no_links_hint());
		free(list);
		return STATUS_NO_LINK;
	}
	printf("%-10s %-16s %4s %-9s %5s %6s %8s %s\n", "LINK", "LABEL", "SIDE", "STATE", "PEER",
	       "SIZE", "CHANNELS", "MEMORY");
	for (i = 0; i < count; i++) {
		info = &list[i];
		snprintf(peer, sizeof(peer), info->peer_epoch ? "%u" : "-", info->peer_id);
		printf("ivring%-4u %-16s %4u %-9s %5s %6s %8u %s\n", info->link, info->label,
		       info->side, ivring_link_state_name(info->state), peer,
		       size_text(info->region_size, size), info->channels,
		       ivring_memory_type_name(info->memory_type));
	}
	free(list);
	return STATUS_OK;
}

static void print_peer(const struct ivring_link_info *info)
{
	if (!info->peer_epoch) {
		puts("peer           none");
		return;
	}
	printf("peer           id %u, epoch %llu, %u vectors\n", info->peer_id,
	       (unsigned long long)info->peer_epoch, info->peer_vectors);
	printf("wire version   %u, features %#llx\n", info->wire_version,
	       (unsigned long long)info->features);
}

static void print_memory(const struct ivring_link_info *info)
{
	printf("memory type    %s\n", ivring_memory_type_name(info->memory_type));
	if (info->memory_type != IVRING_MEMORY_UNCACHED)
		return;
	puts("\nThe region is not mapped write-back, so every access goes past the caches and\n"
	     "is tens of times slower. In a guest, the firmware decided that, by where it\n"
	     "put the device's memory. The cure is to map it through struct pages: update\n"
	     "ivring_guest, or see what it said in the kernel log when it found the device.");
}

int cmd_info(int argc, char **argv)
{
	struct ivring_link_info info;
	struct status st;
	char size[32];
	int ret;

	ret = parse_options(argc, argv, "Usage: ivring info LINK\n"
			    "Tells all about one link.\n", 1);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	if (ivring_link_find(argv[optind], &info, &st)) {
		complain("info: %s", st.text);
		return st.code;
	}
	printf("link           ivring%u\nlabel          %s\n", info.link, info.label);
	printf("state          %s\n", ivring_link_state_name(info.state));
	printf("side           %u%s\n", info.side, info.side ? "" : " (the host, where there is one)");
	printf("own            id %u, epoch %llu, %u vectors\n", info.id,
	       (unsigned long long)info.epoch, info.vectors);
	print_peer(&info);
	printf("region         %s\n", size_text(info.region_size, size));
	printf("channels       %u, rings of %s\n", info.channels, size_text(info.ring_size, size));
	print_memory(&info);
	return STATUS_OK;
}
