// SPDX-License-Identifier: GPL-2.0
/* tune: says what to change on this machine, and changes nothing. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "advice.h"
#include "cmd.h"
#include "libivring.h"
#include "report.h"
#include "status.h"
#include "util.h"

static const char usage[] =
"Usage: ivring tune [OPTION...] [LINK]\n"
"Looks at this machine, and at LINK or all its links, and says what to change so that they\n"
"are faster, with the command. Changes nothing. Run it on both sides, and on the host as\n"
"root, or what is about QEMU is left out.\n\n"
"      --json           one JSON object per line instead of text\n"
"      --root DIR       look at DIR/proc and DIR/sys\n"
"  -h, --help\n";

enum {
	OPT_JSON = 256,
	OPT_ROOT,
};

static const struct option longopts[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct options {
	const char *root;
	const char *link;
	bool json;
};

static int parse_options(struct options *o, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		switch (opt) {
		case OPT_JSON:
			o->json = true;
			break;
		case OPT_ROOT:
			o->root = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return -1;
		default:
			fputs(usage, stderr);
			return STATUS_USAGE;
		}
	}
	if (argc - optind > 1) {
		complain("tune: takes one LINK at most");
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	o->link = argv[optind];
	return 0;
}

static void print_json(const struct advice *one)
{
	printf("{\"type\":\"advice\",\"id\":\"%s\",\"urgent\":%s", one->id,
	       one->urgent ? "true" : "false");
	report_json_member("subject", one->subject);
	report_json_member("what", one->what);
	report_json_member("why", one->why);
	report_json_member("command", one->command);
	puts("}");
}

static void print_machine(const struct machine *m, unsigned int links)
{
	printf("{\"type\":\"machine\",\"links\":%u,", links);
	machine_print_json(m);
	puts("}");
}

static void print_text(const struct advice *one)
{
	printf("%s: %s%s%s\n    %s\n", one->urgent ? "change" : "hint", one->subject,
	       *one->subject ? ": " : "", one->what, one->why);
	if (*one->command)
		printf("    # %s\n", one->command);
}

static unsigned int print_all(const struct options *o, const struct advices *a)
{
	unsigned int urgent = 0;
	size_t i;

	for (i = 0; i < a->count; i++) {
		urgent += a->list[i].urgent;
		(o->json ? print_json : print_text)(&a->list[i]);
	}
	if (!o->json)
		printf("%u to change, %zu hints\n", urgent, a->count - urgent);
	return urgent;
}

int cmd_tune(int argc, char **argv)
{
	struct options o = { .root = "" };
	struct advices a;
	struct machine m;
	unsigned int links, urgent;
	int ret;

	ret = parse_options(&o, argc, argv);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	machine_read(&m, o.root);
	links = advice_take(&a, &m, o.root, o.link);
	ret = a.incomplete ? STATUS_NO_SPACE : STATUS_OK;
	if (a.incomplete)
		complain("tune: no memory");
	if (!links && o.link) {
		complain("tune: %s: no such link", printable(o.link));
		ret = STATUS_NO_LINK;
	} else if (!ret) {
		if (o.json)
			print_machine(&m, links);
		else if (!links)
			puts("There are no links, so this is about the machine alone.");
		urgent = print_all(&o, &a);
		ret = urgent ? STATUS_ADVICE : STATUS_OK;
	}
	if (a.hidden && (!ret || ret == STATUS_ADVICE)) {
		complain("tune: %u links are not for this user to look at: udev gives them to the "
			 "group ivring", a.hidden);
		ret = STATUS_ACCESS;
	}
	advice_free(&a);
	return ret;
}
