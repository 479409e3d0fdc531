# SPDX-License-Identifier: GPL-2.0
#
# For people. Kbuild has the facts for the kernel's own build.

# The running kernel where its headers are installed, else the newest that is.
KVER ?= $(shell if [ -e /lib/modules/$$(uname -r)/build ]; then uname -r; else \
	ls -d /lib/modules/*/build 2>/dev/null | sort -V | tail -n 1 | cut -d/ -f4; fi)
KDIR ?= /lib/modules/$(KVER)/build
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
LAB := selftests/lab/lab
# The lab boots the kernel that the modules are built for.
export IVRING_KVER = $(KVER)

.PHONY: all modules tools selftests demo check check-native check-lab lab install uninstall clean help \
	deps-build deps-lab deps-check

.DEFAULT_GOAL := all

all: modules tools	## the modules and the tool

modules: deps-build	## ivring.ko, ivring_host.ko, ivring_guest.ko, ivring_loop.ko
	@$(MAKE) --no-print-directory kbuild

# In a make of its own: KVER is looked up again after the headers were installed.
.PHONY: kbuild
kbuild:
	@[ -e "$(KDIR)" ] || { echo "no headers for kernel '$(KVER)': apt-get install linux-headers-amd64" >&2; exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) -j$(JOBS) modules

tools: deps-build	## build/tools/ivring
	$(MAKE) -C tools -j$(JOBS)

selftests: deps-build	## the test programs
	$(MAKE) -C selftests -j$(JOBS)

demo: deps-build deps-lab	## push a file host -> guest -> host through the ring, in the lab
	@$(MAKE) --no-print-directory all
	@$(LAB) run -p -t 600 selftests/demo.sh && echo "demo: ok"

check: deps-build deps-lab deps-check	## every test
	@$(MAKE) --no-print-directory all selftests
	@selftests/run native lab

check-native: deps-build deps-check	## the tests that need no VM
	@$(MAKE) --no-print-directory all selftests
	@selftests/run native

check-lab: deps-build deps-lab	## the tests in the lab
	@$(MAKE) --no-print-directory all selftests
	@selftests/run lab

lab: deps-build deps-lab	## two shells to play in: a KVM host and its guest
	@$(MAKE) --no-print-directory all
	@$(LAB) tmux

install: all	## into the running kernel's module tree and PREFIX (/usr/local)
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules_install
	install -D -m 755 build/tools/ivring $(DESTDIR)$(PREFIX)/sbin/ivring
	install -D -m 644 Documentation/man/ivring.1 $(DESTDIR)$(PREFIX)/share/man/man1/ivring.1
	[ -n "$(DESTDIR)" ] || depmod $(KVER)

uninstall:	## what install put there
	rm -f $(DESTDIR)$(PREFIX)/sbin/ivring $(DESTDIR)$(PREFIX)/share/man/man1/ivring.1
	rm -f $(foreach m,ivring ivring_loop ivring_host ivring_guest,$(wildcard $(DESTDIR)/lib/modules/$(KVER)/*/kmod-*/$(m).ko*))
	[ -n "$(DESTDIR)" ] || depmod $(KVER)

clean:	## everything that was built (the lab's images stay, see Documentation/lab.rst)
	[ ! -e "$(KDIR)" ] || $(MAKE) -C $(KDIR) M=$(CURDIR) clean
	rm -rf build

deps-build:
	@scripts/deps build
deps-lab:
	@scripts/deps lab
deps-check:
	@scripts/deps check

help:	## this
	@echo "Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18
	@echo
	@echo "Variables: KVER or KDIR (kernel to build for), PREFIX, DESTDIR, JOBS"
