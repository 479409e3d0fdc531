# SPDX-License-Identifier: GPL-2.0
#
# For people. Kbuild has the facts for the kernel's own build.

comma := ,
ifneq ($(words [$(CURDIR)]),1)
$(error the path of the clone has a space, which the kernel's build cannot take: $(CURDIR))
endif
ifneq ($(findstring $(comma),$(CURDIR))$(findstring :,$(CURDIR)),)
$(error the path of the clone has a comma or colon, which QEMU or the kernel's build cannot take)
endif

# Looked up at each use: the headers may have been installed a moment ago.
KVER ?= $(shell scripts/kver run)
KDIR ?= /lib/modules/$(KVER)/build
kver_given := $(filter command environment,$(origin KVER))
# What runs in the lab is built for the lab's kernel, whatever kernel runs here.
LAB_KVER = $(if $(kver_given),$(KVER),$(shell scripts/kver lab))
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
LAB := selftests/lab/lab
# depmod and friends are not in everybody's path.
export PATH := $(PATH):/usr/sbin:/sbin
# Below "make -jN" all share its N jobs.
jobs = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))
MAKEFLAGS += --no-print-directory
# Needs no headers, and leaves alone what is below build/.
clean_modules = find kmod-* \( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o \
		-name '*.order' -o -name '.*.cmd' \) -delete; rm -f Module.symvers modules.order .*.cmd
in_lab = IVRING_KVER=$(LAB_KVER)

.PHONY: all modules tools selftests demo check check-native check-lab check-long check-debug \
	check-kernels lab bench-ring bench-lab bench-lab-doc install uninstall clean help
.DEFAULT_GOAL := all

all: deps-tools-modules	## the modules and the tool
	@$(MAKE) build-modules build-tools

modules: deps-modules	## ivring.ko, ivring_host.ko, ivring_guest.ko, ivring_loop.ko
	@$(MAKE) build-modules

tools: deps-tools	## build/tools/ivring
	@$(MAKE) build-tools

selftests: deps-tools-test	## the test programs
	@$(MAKE) build-selftests

demo: deps-tools-modules-lab	## push a file host -> guest -> host through the ring, in the lab
	@$(MAKE) KVER=$(LAB_KVER) build-modules build-tools
	@$(in_lab) $(LAB) run -p -t 600 selftests/demo.sh && echo "demo: ok"

check: deps-tools-modules-lab-test-check-proof-bench-debug	## the tests
	@$(MAKE) KVER=$(LAB_KVER) build-modules build-tools build-selftests
	@$(in_lab) selftests/run native lab debug

check-native: deps-tools-modules-check-proof-bench	## the tests that need no VM
	@$(MAKE) KVER=$(LAB_KVER) build-modules build-tools build-selftests
	@$(in_lab) selftests/run native

check-lab: deps-tools-modules-lab-test	## the tests in the lab
	@$(MAKE) KVER=$(LAB_KVER) build-modules build-tools build-selftests
	@$(in_lab) selftests/run lab

check-long: deps-tools-modules-lab-test-check-proof-bench-debug	## every test at full length (slow)
	@$(MAKE) KVER=$(LAB_KVER) build-modules build-tools build-selftests
	@$(in_lab) selftests/run -l native lab debug

check-debug: deps-tools-modules-lab-debug	## the tests under kernels that check themselves (slow)
	@$(MAKE) KVER=$(LAB_KVER) build-modules build-tools build-selftests
	@$(in_lab) selftests/run check-debug

check-kernels: deps-tools-lab-test	## the modules under kernels of other Debian suites (slow)
	@$(MAKE) build-tools build-selftests
	@selftests/run check-kernels

lab: deps-tools-modules-lab	## two shells to play in: a KVM host and its guest, linked
	@$(MAKE) KVER=$(LAB_KVER) build-modules build-tools
	@$(in_lab) $(LAB) tmux --setup selftests/pair/up.sh

bench-ring: deps-bench	## the ring in user space against memcpy, cache lines, eventfds and pipes
	@selftests/bench/run

bench-lab: deps-tools-modules-lab-test-bench	## ivring beside other ways between host and guest, in the lab; QUICK=1: 10 minutes
	@$(MAKE) KVER=$(LAB_KVER) build-modules build-tools build-selftests
	@$(in_lab) selftests/bench-lab/run $(if $(QUICK),quick)

bench-lab-doc: deps-bench	## Documentation/benchmarks.rst and its pictures, of what bench-lab measured
	@selftests/bench-lab/document

UNITS := $(wildcard packaging/*.socket packaging/*.service)

# Modules of a kernel that does not run here are of no use here, unless asked for.
install: deps-tools-modules	## into the running kernel's module tree and PREFIX (/usr/local)
	@[ -n "$(kver_given)" ] || [ "$(KVER)" = "$$(uname -r)" ] || { \
		echo "install: there are no headers for the running kernel $$(uname -r), so" \
			"modules would be for '$(KVER)'." >&2; \
		echo "Boot a kernel that has headers (apt-get install linux-image-amd64" \
			"linux-headers-amd64), or say 'make install KVER=$(KVER)'." >&2; exit 1; }
	@$(MAKE) build-modules build-tools
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_PATH=$(DESTDIR) modules_install
	install -D -m 755 build/tools/ivring $(DESTDIR)$(PREFIX)/bin/ivring
	install -D -m 644 Documentation/man/ivring.1 $(DESTDIR)$(PREFIX)/share/man/man1/ivring.1
	install -D -m 644 packaging/ivring.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/ivring
	install -D -m 644 packaging/60-ivring.rules $(DESTDIR)/usr/lib/udev/rules.d/60-ivring.rules
	install -D -m 644 packaging/ivring.conf $(DESTDIR)/usr/lib/sysusers.d/ivring.conf
	install -D -m 644 -t $(DESTDIR)/usr/lib/systemd/system $(UNITS)
	[ -n "$(DESTDIR)" ] || depmod $(KVER)
	@[ -n "$(DESTDIR)" ] || { systemd-sysusers ivring.conf && udevadm control --reload; } || \
		echo "install: there is no group ivring yet: only root may use links" >&2

uninstall:	## what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/ivring $(DESTDIR)$(PREFIX)/share/man/man1/ivring.1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/ivring
	rm -f $(DESTDIR)/usr/lib/udev/rules.d/60-ivring.rules \
		$(DESTDIR)/usr/lib/sysusers.d/ivring.conf \
		$(UNITS:packaging/%=$(DESTDIR)/usr/lib/systemd/system/%)
	rm -f $(wildcard $(DESTDIR)/lib/modules/$(KVER)/*/kmod-*/ivring.ko* \
		$(DESTDIR)/lib/modules/$(KVER)/*/kmod-*/ivring_*.ko*)
	[ -n "$(DESTDIR)" ] || depmod $(KVER)

clean:	## everything that was built (the lab's images stay, see Documentation/lab.rst)
	@$(clean_modules)
	rm -rf build

# What follows is built without a look at packages.
.PHONY: build-modules build-tools build-selftests

# Objects in the tree are for one kernel at a time, and kbuild cannot tell a header
# of one kernel from the same header of another.
build-modules:
	@[ -e "$(KDIR)" ] || { \
		echo "no headers for kernel '$(KVER)': apt-get install linux-headers-$(or $(KVER),amd64)," \
			"or name a kernel that has some: make KVER=..." >&2; exit 1; }
	@[ -n "$(kver_given)" ] || [ "$(origin KDIR)" != file ] || [ "$(KVER)" = "$$(uname -r)" ] || \
		echo "modules: for kernel $(KVER); there are no headers for the running $$(uname -r)" >&2
	@[ "$$(cat build/kdir 2>/dev/null)" = "$(realpath $(KDIR))" ] || { \
		$(clean_modules); mkdir -p build; echo "$(realpath $(KDIR))" >build/kdir; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) $(jobs) modules

build-tools:
	$(MAKE) -C tools $(jobs)

build-selftests:
	$(MAKE) -C selftests $(jobs)

# deps-GROUP-GROUP...: one call for all, as package tools are slow to start
deps-%:
	@scripts/deps $(subst -, ,$*)

help:	## this
	@echo "Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18
	@echo
	@echo "Variables: KVER or KDIR (kernel to build for), PREFIX, DESTDIR, JOBS"
