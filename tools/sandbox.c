// SPDX-License-Identifier: GPL-2.0
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if __has_include(<seccomp.h>)
#include <seccomp.h>
#define HAVE_SECCOMP
#endif

#include <linux/ivring.h>

#include "hash.h"
#include "library.h"
#include "proto.h"
#include "util.h"

/* Younger than the headers that this may be built with. */
#define FS_REFER		(1ULL << 13)
#define FS_TRUNCATE		(1ULL << 14)
#define FS_IOCTL_DEV		(1ULL << 15)
#define NET_ALL			3ULL	/* bind and connect by TCP */
#define SCOPE_ALL		3ULL	/* abstract UNIX sockets, signals */

#define FS_READ			(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE		(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
				 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
				 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_FIFO | \
				 LANDLOCK_ACCESS_FS_MAKE_SYM | FS_REFER | FS_TRUNCATE)
#define FS_DEVICES		(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
#define FS_FIRST		((1ULL << 13) - 1)	/* what the first version knew */

struct ruleset {
	uint64_t fs;
	uint64_t net;			/* since version 4 */
	uint64_t scoped;		/* since version 6 */
};

bool sandbox_parse(const char *text, enum sandbox_mode *mode)
{
	static const char *const names[] = { "auto", "require", "off" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]))
			continue;
		*mode = i;
		return true;
	}
	return false;
}

/* Version of Landlock; zero: there is none. */
static int landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);

	return version > 0 ? version : 0;
}

static int allow_beneath(int ruleset, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr attr = { .allowed_access = access, .parent_fd = fd };

	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) ?
	       -errno : 0;
}

/* What the names of users and groups are looked up in; what of it is there. */
static int allow_names(int ruleset)
{
	static const char *const files[] = { "/etc/passwd", "/etc/group", "/etc/nsswitch.conf" };
	size_t i;
	int fd, ret = 0;

	for (i = 0; !ret && i < ARRAY_SIZE(files); i++) {
		fd = open(files[i], O_PATH | O_CLOEXEC);
		if (fd < 0)
			continue;
		ret = allow_beneath(ruleset, fd, LANDLOCK_ACCESS_FS_READ_FILE);
		close(fd);
	}
	return ret;
}

static int allow_roots(int ruleset, const struct roots *roots, uint64_t handled, uint32_t allowed)
{
	const struct root *root;
	uint64_t access;
	int ret = 0;

	for (root = roots->list; !ret && root < roots->list + roots->count; root++) {
		/* A receiver looks at what is there already, and reads what it has written. */
		access = FS_READ;
		if (!root->no_push)
			access |= FS_WRITE | (allowed & KEEP_DEVICES ? FS_DEVICES : 0);
		ret = allow_beneath(ruleset, root->dir.fd, access & handled);
	}
	return ret;
}

static int enter_landlock(const struct roots *roots, uint32_t allowed)
{
	struct ruleset attr = { .fs = FS_FIRST, .net = NET_ALL, .scoped = SCOPE_ALL };
	int version = landlock_version(), fd, ret;
	size_t size = sizeof(attr);

	if (!version)
		return 0;
	if (version >= 2)
		attr.fs |= FS_REFER;
	if (version >= 3)
		attr.fs |= FS_TRUNCATE;
	if (version >= 5)
		attr.fs |= FS_IOCTL_DEV;
	if (version < 6)
		size = offsetof(struct ruleset, scoped);
	if (version < 4)
		size = offsetof(struct ruleset, net);
	fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (fd < 0)
		return -errno;
	ret = allow_roots(fd, roots, attr.fs, allowed);
	if (!ret)
		ret = allow_names(fd);
	if (!ret && syscall(SYS_landlock_restrict_self, fd, 0))
		ret = -errno;
	close(fd);
	return ret;
}

/* Root without the rights to change the system. */
static int drop_capabilities(uint32_t allowed)
{
	uint64_t keep = 1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE |
			1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_FOWNER |
			(allowed & KEEP_SETID ? 1ULL << CAP_FSETID | 1ULL << CAP_SETFCAP : 0) |
			(allowed & KEEP_DEVICES ? 1ULL << CAP_MKNOD : 0);
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	int i;

	if (syscall(SYS_capget, &header, data))
		return -errno;
	for (i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

#ifdef HAVE_SECCOMP
static struct {
	typeof(&seccomp_init) init;
	typeof(&seccomp_release) release;
	typeof(&seccomp_attr_set) attr_set;
	typeof(&seccomp_syscall_resolve_name) resolve;
	typeof(&seccomp_rule_add_array) rule_add;
	typeof(&seccomp_export_bpf) export;
} lib;

/* Of the kernel and of the library. */
static bool has_seccomp(void)
{
	static const struct library_symbol symbols[] = {
		{ "seccomp_init", &lib.init },
		{ "seccomp_release", &lib.release },
		{ "seccomp_attr_set", &lib.attr_set },
		{ "seccomp_syscall_resolve_name", &lib.resolve },
		{ "seccomp_rule_add_array", &lib.rule_add },
		{ "seccomp_export_bpf", &lib.export },
		{ }
	};

	return lib.export || (prctl(PR_GET_SECCOMP) >= 0 &&
			      library_load("libseccomp.so.2", NULL, symbols));
}

/*
 * What transfers need, and threads and memory. Anything that is neither here nor
 * below does not exist: libraries then do without it.
 */
static const char *const calls_allowed[] = {
	/* the channel and the files */
	"read", "write", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev", "lseek",
	"_llseek", "openat", "openat2", "open", "close", "close_range", "dup", "fcntl", "fcntl64",
	"flock", "fstat", "fstat64", "newfstatat", "fstatat64", "stat", "lstat", "statx", "fstatfs",
	"fstatfs64", "statfs", "statfs64", "getdents64", "getdents", "readlink", "readlinkat",
	"access", "faccessat", "faccessat2", "mkdirat", "mknodat", "symlinkat", "linkat", "unlinkat",
	"renameat", "renameat2", "ftruncate", "ftruncate64", "fallocate", "fadvise64",
	"fadvise64_64", "copy_file_range", "sendfile", "sendfile64", "splice", "sync_file_range",
	"fsync", "fdatasync", "syncfs", "chmod", "fchmod", "fchmodat", "fchmodat2", "fchown",
	"fchownat", "utimensat", "utimensat_time64", "fgetxattr", "fsetxattr", "flistxattr",
	"fremovexattr", "umask",
	/* waiting and time */
	"poll", "ppoll", "ppoll_time64", "select", "pselect6", "nanosleep", "clock_nanosleep",
	"clock_gettime", "clock_gettime64", "gettimeofday", "time", "restart_syscall",
	/* memory and threads */
	"brk", "mremap", "munmap", "madvise", "futex", "futex_time64", "set_robust_list", "rseq",
	"membarrier", "sched_yield", "sched_getaffinity", "getcpu",
	/* itself */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "sigaltstack", "tgkill",
	"getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrandom",
	"getrlimit", "prlimit64", "sysinfo", "uname", "exit", "exit_group",
	/* the log, which is connected by then */
	"sendto", "send",
};

/* What only somebody else's code would try: the process ends. */
static const char *const calls_fatal[] = {
	"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev",
	"mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount",
	"mount_setattr", "setns", "unshare", "init_module", "finit_module", "delete_module",
	"kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "bpf", "perf_event_open",
	"userfaultfd", "add_key", "request_key", "keyctl", "io_uring_setup", "open_by_handle_at",
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "capset",
	"iopl", "ioperm", "acct", "quotactl", "settimeofday", "clock_settime", "sethostname", "bind",
	"listen", "accept", "accept4",
};

static int add_rule(scmp_filter_ctx filter, uint32_t action, const char *name,
		    const struct scmp_arg_cmp *arg)
{
	int nr = lib.resolve(name);
	int ret;

	/* Not on this machine. */
	if (nr < 0)
		return 0;
	ret = lib.rule_add(filter, action, nr, !!arg, arg);
	return ret == -EDOM ? 0 : ret;
}

static int add_rules(scmp_filter_ctx filter, uint32_t action, const char *const names[],
		     size_t count)
{
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < count; i++)
		ret = add_rule(filter, action, names[i], NULL);
	return ret;
}

/* What depends on how it is called: threads, but no processes; data, but no code. */
static int add_careful_rules(scmp_filter_ctx filter)
{
	static const struct {
		const char *name;
		struct scmp_arg_cmp arg;
	} rules[] = {
		{ "clone", { 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD } },
		{ "mmap", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
		{ "mmap2", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
		{ "mprotect", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
		{ "ioctl", { 1, SCMP_CMP_MASKED_EQ, 0xff00, IVRING_IOC_MAGIC << 8 } },
	};
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < ARRAY_SIZE(rules); i++)
		ret = add_rule(filter, SCMP_ACT_ALLOW, rules[i].name, &rules[i].arg);
	return ret;
}

/* The filter as the kernel takes it: the library needs longer for it than for all else. */
static struct sock_fprog program;

static int export_program(scmp_filter_ctx filter)
{
	int fd = memfd_create("ivring-filter", MFD_CLOEXEC), ret;
	struct stat stat;

	ret = fd < 0 ? -errno : lib.export(filter, fd);
	if (!ret && fstat(fd, &stat))
		ret = -errno;
	if (!ret) {
		program.filter = malloc(stat.st_size);
		if (!program.filter || pread(fd, program.filter, stat.st_size, 0) != stat.st_size)
			ret = -ENOMEM;
	}
	if (!ret)
		program.len = stat.st_size / sizeof(program.filter[0]);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int make_program(void)
{
	scmp_filter_ctx filter;
	int ret;

	filter = lib.init(SCMP_ACT_ERRNO(ENOSYS));
	if (!filter)
		return -ENOMEM;
	/* A search instead of a list, where the library knows how. */
	lib.attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	ret = add_rules(filter, SCMP_ACT_ALLOW, calls_allowed, ARRAY_SIZE(calls_allowed));
	if (!ret)
		ret = add_rules(filter, SCMP_ACT_KILL_PROCESS, calls_fatal, ARRAY_SIZE(calls_fatal));
	if (!ret)
		ret = add_careful_rules(filter);
	if (!ret)
		ret = export_program(filter);
	lib.release(filter);
	return ret;
}

static int prepare_seccomp(void)
{
	return has_seccomp() && !program.len ? make_program() : 0;
}

static int enter_seccomp(void)
{
	int ret = prepare_seccomp();

	if (ret || !program.len)
		return ret;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
}
#else
static bool has_seccomp(void)
{
	return false;
}

static int prepare_seccomp(void)
{
	return 0;
}

static int enter_seccomp(void)
{
	return 0;
}
#endif

/* Whatever opens a file or loads a library when it is used first. */
static void use_all_once(void)
{
	uint8_t digest[HASH_DIGEST_SIZE];
	struct hash h = { 0 };
	unsigned int kind;

	for (kind = 0; kind < HASH_KINDS; kind++) {
		if (!hash_known(kind) || hash_init(&h, kind))
			continue;
		hash_data(&h, "x", 1);
		hash_final(&h, digest);
	}
	hash_free(&h);
	/* Which one is the fastest is measured. */
	hash_choose(HASH_FASTEST, 1, 1);
	getpwuid(0);
	getpwnam("root");
	getgrgid(0);
	getgrnam("root");
	tzset();
}

int sandbox_prepare(enum sandbox_mode mode, char *text, size_t size, struct status *st)
{
	int version = landlock_version();
	bool calls = has_seccomp();

	use_all_once();
	if (mode == SANDBOX_OFF) {
		snprintf(text, size, "off");
		return 0;
	}
	if (prepare_seccomp())
		return status_set(st, STATUS_FAIL, "no filter for system calls can be made");
	if (mode == SANDBOX_REQUIRE && !(version && calls))
		return status_set(st, STATUS_FAIL, "%s", !version ? "this kernel has no Landlock" :
				  "system calls cannot be filtered: the kernel has no seccomp, or the "
				  "library libseccomp is missing");
	snprintf(text, size, "%s%.0d, %s", version ? "Landlock version " : "no Landlock", version,
		 calls ? "system calls are filtered" : "no filter for system calls");
	return 0;
}

int sandbox_enter(enum sandbox_mode mode, const struct roots *roots, uint32_t allowed,
		  struct status *st)
{
	const char *what = "no_new_privs";
	int ret;

	if (mode == SANDBOX_OFF)
		return 0;
	ret = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
	if (!ret) {
		what = "capabilities";
		ret = drop_capabilities(allowed);
	}
	if (!ret) {
		what = "Landlock";
		ret = enter_landlock(roots, allowed);
	}
	if (!ret) {
		what = "seccomp";
		ret = enter_seccomp();
	}
	return ret ? status_errno(st, STATUS_FAIL, -ret, "cannot enter the sandbox: %s", what) : 0;
}
