/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kselftest harness, after core's headers, whose names it respects, and with
 * more time for a test than the kernel's own take.
 */
#ifndef COWSTACK_UNIT_HARNESS_H
#define COWSTACK_UNIT_HARNESS_H

#include <kselftest_harness.h>

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 1700

#endif /* COWSTACK_UNIT_HARNESS_H */
