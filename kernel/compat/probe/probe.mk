# SPDX-License-Identifier: GPL-2.0
# Asks the kernel that is built for what it has.  Each NAME.c here uses one feature;
# where it compiles, COMPAT_HAS_NAME is defined for compat.h.  Read by Kbuild.

COMPAT_PROBES := workqueue_percpu workqueue_system_percpu

# $(call compat_try,NAME,WHAT-TO-PRINT)
compat_try = $(call try-run,$(CC) $(NOSTDINC_FLAGS) $(LINUXINCLUDE) $(KBUILD_CPPFLAGS) \
	$(KBUILD_CFLAGS) -DMODULE -DKBUILD_MODNAME='"probe"' -DKBUILD_BASENAME='"probe"' \
	-Wno-error -fsyntax-only $(src)/kernel/compat/probe/$(1).c,$(2))

# A probe that fails for another reason than the one it asks about would give an old
# kernel's code to a new one: nothing.c uses nothing, so it has to compile.
# Where Kbuild is read for something else than to compile, there is nobody to ask.
ifdef try-run
compat_works := $(call compat_try,nothing,yes)
ifneq ($(compat_works),yes)
$(error $(src)/kernel/compat/probe/nothing.c does not compile: nothing can be asked of this kernel)
endif

ccflags-y += $(foreach probe,$(COMPAT_PROBES),$(call compat_try,$(probe),-DCOMPAT_HAS_$(probe)))
endif
