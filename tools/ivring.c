// SPDX-License-Identifier: GPL-2.0
/* The command: finds the subcommand, which does the rest. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "status.h"
#include "util.h"

#define IVRING_VERSION	"0.1"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "serve",	cmd_serve,	"make links, and serve them to QEMU" },
	{ "agent",	cmd_agent,	"answer what the other side asks" },
	{ "push",	cmd_push,	"copy files and directories to the other side" },
	{ "pull",	cmd_pull,	"copy files and directories from the other side" },
	{ "sync",	cmd_sync,	"make one side's files like the other's, sending what differs" },
	{ "watch",	cmd_watch,	"keep a directory of the other side like one here" },
	{ "cat",	cmd_cat,	"print files of the other side" },
	{ "ls",		cmd_ls,		"list files of the other side" },
	{ "verify",	cmd_verify,	"compare files with a manifest of push or pull" },
	{ "ls-links",	cmd_ls_links,	"list the links of this machine" },
	{ "info",	cmd_info,	"all about one link" },
	{ "stat",	cmd_stat,	"counters of links and their channels" },
	{ "metrics",	cmd_metrics,	"counters of all links, for Prometheus" },
	{ "bench",	cmd_bench,	"measure a link from memory to memory" },
	{ "tune",	cmd_tune,	"say what to change so that links are faster" },
};

static void print_help(void)
{
	size_t i;

	puts("Usage: ivring COMMAND [ARGUMENT...]\n"
	     "Moves files between a KVM host and its guests through shared memory.\n\n"
	     "Commands (each has --help):");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].help);
	puts("\nA LINK is named by number (0, ivring0, /dev/ivring0) or label (vm0);\n"
	     "in a guest with one link, it is also called \"host\".\n\n"
	     "Exit codes:");
	status_print_table();
}

int main(int argc, char **argv)
{
	size_t i;

	/* Who reads a log may go away and come back; whom it served must not notice. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		complain("which command? See `ivring --help`");
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help();
		return STATUS_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("ivring " IVRING_VERSION);
		return STATUS_OK;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	complain("%s: no such command; see `ivring --help`", argv[1]);
	return STATUS_USAGE;
}
