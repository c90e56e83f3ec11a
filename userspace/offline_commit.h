/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A commit of a volume that is not up, in the module's order:
 *
 *   job recorded, with a snapshot if the top is to be committed (a step)
 *   base, or layers that show no point in time meanwhile, marked mixed (a step)
 *   for each group: read the store, write, flush; words go (a step)
 *   emptied layers leave the chain, the base is valid again (a step)
 *
 * Cut off anywhere nothing is lost, and it goes on, here or when the volume is up.
 */
#ifndef DMCOMMIT_OFFLINE_COMMIT_H
#define DMCOMMIT_OFFLINE_COMMIT_H

#include "job_request.h"

enum exit_code offline_commit(const struct options *options,
			      const struct job_request *request);

#endif /* DMCOMMIT_OFFLINE_COMMIT_H */
