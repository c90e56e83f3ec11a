# SPDX-License-Identifier: GPL-2.0
# dm-cowstack: the module dm-cowstack.ko and the tool userspace/dmcommit.
# "make help" tells what can be made. What the module consists of stands in Kbuild,
# which the kernel's build reads in place of this file.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

# The kernel to build for: the running one where its headers are installed, else the
# newest that has some. "make check" and "make demo" always take the latter, as the
# kernel that their guests boot must be one that Debian has; they ask the shell for it,
# as make expands all lines of a recipe before the first of them installs the headers.
GUEST_KERNEL = $(shell tests/fetch-kernel-files --release)
RUNNING_KERNEL := $(shell uname -r)
KERNEL ?= $(if $(wildcard /lib/modules/$(RUNNING_KERNEL)/build/Makefile),$(RUNNING_KERNEL),$(GUEST_KERNEL))
KDIR ?= /lib/modules/$(KERNEL)/build

# $(call build_module,DIRECTORY[,VARIABLE=VALUE …])
# BTF would need a vmlinux that no header package has.
build_module = $(MAKE) -C $(KDIR) M=$(1) CONFIG_DEBUG_INFO_BTF_MODULES= $(2) modules

# A module built in another way (a fault, a checker) is built from a copy of the
# sources, so that dm-cowstack.ko stays what it is.
# $(call copy_sources,DIRECTORY)
copy_sources = mkdir -p $(1) && \
	tar -cf - --exclude='*.o' --exclude='*.ko' --exclude='*.mod*' --exclude='.*.cmd' \
		Kbuild kernel | tar -xf - -C $(1)

# Messages about a copy name the original.
# $(call name_originals,DIRECTORY)
name_originals = sed -u 's,$(CURDIR)/$(1)/,,g'

# Kernels of other Debians, by the names that tests/fetch-other-kernels has for them.
OTHER_KERNELS := 6.12 7

FAULTS := 1 2 3 4 5 6 7 8 9 10

.PHONY: all module tool install uninstall install-system uninstall-system modules_install \
	manuals unit coverage guest-programs check demo bench bench-quick sparse warnings \
	checkpatch fault-modules debug-module check-debug check-long crash-test kernel-modules \
	model fuzz fault-table headers clean help FORCE

all: module tool

help:
	@echo 'make                the module dm-cowstack.ko and the tool userspace/dmcommit'
	@echo 'make module | tool  one of them; as in the kernel'"'"'s own build: W=1 C=1 V=1 LLVM=1 …'
	@echo '  KERNEL=RELEASE    for a kernel whose headers are installed (KDIR=… elsewhere)'
	@echo '  FAULT=N           the module with a rule broken, in build/fault-N/'
	@echo 'make install        the tool, man pages, completions; prefix=/usr/local DESTDIR='
	@echo 'make install-system udev rules, systemd units, initramfs scripts; prefix= and DESTDIR= as there'
	@echo 'make uninstall      takes away what the first put there; uninstall-system: the second'
	@echo 'make modules_install  the module'
	@echo
	@echo 'make demo           installs what is missing, builds, shows the main job in a guest'
	@echo 'make check          installs what is missing, builds, runs every test'
	@echo 'make check-long     what takes hours: see tests/check-long --help'
	@echo 'make check-debug    the guests'"'"' tests on the debug kernel'
	@echo 'make bench          measures us beside the peers; bench-quick: us alone, in two minutes'
	@echo
	@echo 'make unit           the tests of kernel/core in userspace'
	@echo 'make coverage       the lines of kernel/core that those run (gcov)'
	@echo 'make model          the order of things, checked by spin with each rule kept and broken'
	@echo 'make fuzz           the fuzzers, each for COWSTACK_FUZZ_SECONDS (default 10)'
	@echo 'make fault-table    which test catches which FAULT=N, into Documentation/'
	@echo 'make guest-programs | crash-test  the programs that tests run in guests'
	@echo 'make fault-modules  the module with each rule broken'
	@echo 'make debug-module   for the debug kernel, in build/debug/; builds the kernel too'
	@echo 'make kernel-modules for the newest 6.12 and 7, in build/kernel-6.12/ and -7/'
	@echo
	@echo 'make sparse         sparse over the module; sparse-6.12, sparse-7: with their headers'
	@echo 'make warnings       sparse, and the module with all warnings that the kernel knows (W=1), and the tool'
	@echo 'make checkpatch     the style of all C files'
	@echo 'make manuals        what mandoc and groff find wrong in the man pages'
	@echo 'make clean'

# Called first by whatever needs them, for an error that says what to do.
headers:
	@[ -e $(KDIR)/Makefile ] || { \
		echo "no headers of a kernel $(KERNEL) in $(KDIR): tests/install-packages installs some" >&2; \
		exit 1; }

ifdef FAULT
module: build/fault-$(FAULT)/dm-cowstack.ko
else
module: headers
	+$(call build_module,$(CURDIR))
endif

fault-modules: $(FAULTS:%=build/fault-%/dm-cowstack.ko)

# All are built in one place, one after the other: only kernel/fault.c differs.
build/fault-%/dm-cowstack.ko: headers FORCE
	@mkdir -p $(@D)
	+@exec 9>build/fault.lock && flock 9 && \
		$(call copy_sources,build/fault) && \
		$(call build_module,$(CURDIR)/build/fault,COWSTACK_FAULT=$*) && \
		cp build/fault/dm-cowstack.ko $@

fault-table:
	@tests/fault-table

# For the kernel of tests/build-debug-kernel, which is built where there is none.
debug-module:
	@tests/build-debug-kernel
	+@$(MAKE) build/debug/dm-cowstack.ko KDIR=$$(tests/build-debug-kernel --where)/build

build/debug/dm-cowstack.ko: headers FORCE
	@$(call copy_sources,$(@D))
	+$(call build_module,$(CURDIR)/$(@D))

# For kernels of other Debians, each by its own compiler; warnings are errors there.
kernel-modules: $(OTHER_KERNELS:%=build/kernel-%/dm-cowstack.ko)

build/kernel-%/dm-cowstack.ko: FORCE
	@tests/fetch-other-kernels $*
	@$(call copy_sources,$(@D))
	@tests/make-for-kernel $* $(@D) --silent W=1 KCFLAGS=-Werror modules

tool:
	$(if $(wildcard userspace/Makefile),$(MAKE) -C userspace)

# The tool, its man pages and completions; below prefix=/usr/local, DESTDIR in front. The
# module goes where the kernel looks for it, or by DKMS.
install uninstall:
	$(MAKE) -C userspace $@

modules_install: module
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules_install

# Programs that tests run in a guest.
GUEST_PROGRAMS := $(patsubst tests/guest/programs/%.c,build/tests/%,$(wildcard tests/guest/programs/*.c))

guest-programs: $(GUEST_PROGRAMS) build/tests/udevadm

build/tests/udevadm:
	tests/fetch-udev $@

build/tests/%: tests/guest/programs/%.c
	@mkdir -p $(@D)
	$(CC) -O2 -g -Wall -Wextra -Werror -pthread -o $@ $<

unit:
	$(if $(wildcard tests/unit/Makefile),$(MAKE) -C tests/unit run)

coverage:
	@$(MAKE) --no-print-directory -C tests/unit coverage

model:
	@tests/install-packages
	@tests/model/run

# What runs something new is kept, and begun with the next time.
fuzz:
	@$(MAKE) --no-print-directory --silent -C tests/fuzz
	@tests/fuzz/run --keep

# Programs that tests run in guests.
crash-test:
	$(MAKE) -C tests/crash

# Three tests for two processors: they wait for disks and seconds, too.
check:
	tests/install-packages
	tests/fetch-kernel-files
	$(MAKE) -j 2 all guest-programs KERNEL=$$(tests/fetch-kernel-files --release)
	$(MAKE) kernel-modules
	$(MAKE) -j 2 debug-module
	tests/run -j 3

# Everything faults.md asks numbers of: hours. See tests/check-long.
check-long:
	tests/install-packages
	tests/fetch-kernel-files
	$(MAKE) all guest-programs KERNEL=$$(tests/fetch-kernel-files --release)
	tests/check-long $(CHECK_LONG)

check-debug:
	tests/install-packages
	$(MAKE) debug-module tool guest-programs
	tests/run -j 2 --debug

demo:
	@tests/install-packages
	@tests/fetch-kernel-files
	@$(MAKE) --silent all KERNEL=$$(tests/fetch-kernel-files --release)
	@if [ -x tests/demo/run ]; then tests/demo/run; else \
		echo "no demo in this tree yet: tests/demo/run is missing" >&2; exit 1; fi

bench bench-quick:
	@tests/install-packages
	@tests/fetch-kernel-files
	@$(MAKE) --silent all guest-programs KERNEL=$$(tests/fetch-kernel-files --release)
	@tests/benchmark/run $(if $(filter bench-quick,$@),--quick)

SPARSE_FLAGS := CF=-D__CHECK_ENDIAN__

# All of these print nothing but what they find.
sparse: headers
	@$(call copy_sources,build/sparse)
	+@$(call build_module,$(CURDIR)/build/sparse,--silent C=2 $(SPARSE_FLAGS)) \
		2>&1 | $(call name_originals,build/sparse)

# The same with the headers of another kernel, sparse-7: on a copy of what was built, so
# that nothing is built again. This sparse does not know what newer compilers do, and
# what it says of MODULE_LICENSE and the like, or the build of its own parts, is not ours.
sparse-%: build/kernel-%/dm-cowstack.ko
	@rm -rf build/$@ && cp -a $(<D) build/$@
	@tests/make-for-kernel $* build/$@ --silent W=1 KCFLAGS=-Werror KBUILD_CHECKSRC=2 \
		CF='-D__CHECK_ENDIAN__ -D__typeof_unqual__=__typeof__' modules 2>&1 | \
		sed -e '/checker-valid\.sh/d' -e '/C=2 specified, but/d' \
			-e '/main\.c:.* bad constant expression/d' -e 's,/module/,,g'

# With sparse, too: make check builds once for both.
warnings: headers
	@rm -rf build/warnings
	@$(call copy_sources,build/warnings)
	+@$(call build_module,$(CURDIR)/build/warnings,--silent W=1 KCFLAGS=-Werror C=1 $(SPARSE_FLAGS)) \
		2>&1 | $(call name_originals,build/warnings)
	@$(MAKE) --no-print-directory -C userspace warnings

checkpatch:
	@tests/checkpatch

manuals:
	@$(MAKE) --no-print-directory --silent -C userspace manuals-lint

# udev's rules, systemd's units and the initramfs; prefix is the tool's, DESTDIR
install-system:
	$(MAKE) -C userspace/system install

uninstall-system:
	$(MAKE) -C userspace/system uninstall

clean:
	rm -rf build tests/unit/build
	find . -path ./.git -prune -o \( -name '*.o' -o -name '*.ko' -o -name '*.mod' \
		-o -name '*.mod.c' -o -name '.*.cmd' -o -name '*.a' -o -name '*.order' \
		-o -name Module.symvers \) -type f -exec rm -f {} +
	$(if $(wildcard userspace/Makefile),$(MAKE) -C userspace clean)
	$(if $(wildcard tests/unit/Makefile),$(MAKE) -C tests/unit clean)
	$(MAKE) -C tests/crash clean
	$(MAKE) -C tests/golden clean
	$(MAKE) -C tests/fuzz clean
