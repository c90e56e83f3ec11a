/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Disks that are pulled in the midst of a commit, and come back under another name: the
 * SSD, or the HDD of the volume that is committed.  What says that it happened, what goes
 * on meanwhile, and that a retry ends with nothing lost.
 */
#ifndef COWSTACK_CRASH_PULL_H
#define COWSTACK_CRASH_PULL_H

#include "random.h"

void pull_run(unsigned int rounds, struct random *random);
unsigned int pull_count(void);
void pull_print(void);

#endif /* COWSTACK_CRASH_PULL_H */
