/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One request fails, and the power stays on: the first of its place, the second, the
 * third …, of the SSD or an HDD, while stacks come up, in users' work, in a commit.
 * Whoever was answered has what he was told; the stacks come up again, and a commit ends.
 */
#ifndef COWSTACK_CRASH_ERRORS_H
#define COWSTACK_CRASH_ERRORS_H

#include "random.h"

void errors_run(unsigned int wanted, struct random *random);
unsigned int errors_count(void);
void errors_print(void);

#endif /* COWSTACK_CRASH_ERRORS_H */
