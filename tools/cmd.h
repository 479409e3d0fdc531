/* SPDX-License-Identifier: GPL-2.0 */
/* The subcommands. Each gets its own argv and returns an exit code. */
#ifndef IVRING_CMD_H
#define IVRING_CMD_H

int cmd_serve(int argc, char **argv);
int cmd_agent(int argc, char **argv);
int cmd_push(int argc, char **argv);
int cmd_pull(int argc, char **argv);
int cmd_cat(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_sync(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_ls_links(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_tune(int argc, char **argv);

#endif /* IVRING_CMD_H */
