/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A commit into the base of a volume that is not up, in the module's order:
 *
 *   job recorded, with a snapshot if the top holds anything (a step)
 *   base marked mixed (a step)
 *   for each group: read the store, write the base, flush it; words go (a step)
 *   emptied layers leave the chain, the base is valid again (a step)
 *
 * Cut off anywhere nothing is lost, and it goes on, here or when the volume is up.
 */
#ifndef DMCOMMIT_OFFLINE_COMMIT_H
#define DMCOMMIT_OFFLINE_COMMIT_H

#include "options.h"

enum exit_code offline_commit(const struct options *options);

#endif /* DMCOMMIT_OFFLINE_COMMIT_H */
