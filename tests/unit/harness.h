/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kselftest harness, after core's headers, whose names it respects, and with
 * more time for a test than the kernel's own take.  Where coverage is counted a
 * test writes its counts before it ends by _exit(), and where memory is checked it is
 * looked through for what nobody has freed.
 */
#ifndef COWSTACK_UNIT_HARNESS_H
#define COWSTACK_UNIT_HARNESS_H

#ifdef COWSTACK_COVERAGE
#include <unistd.h>

void __gcov_dump(void);
#define _exit(status) (__gcov_dump(), _exit(status))
#endif

#ifdef __SANITIZE_ADDRESS__
#include <unistd.h>

void __lsan_do_leak_check(void);
#define _exit(status) (__lsan_do_leak_check(), _exit(status))
#endif

#include <kselftest_harness.h>

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 1700

#endif /* COWSTACK_UNIT_HARNESS_H */
