/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What check --repair does to a store.
 */
#ifndef DMCOMMIT_REPAIR_H
#define DMCOMMIT_REPAIR_H

#include "options.h"
#include "store_file.h"

/*
 * Says what is damaged and what can be done, and does it if it is told to.
 * *@nothing: there is nothing to repair; nothing was said then.
 */
enum exit_code repair_store(struct store_file *store,
			    const struct options *options, bool *nothing);

#endif /* DMCOMMIT_REPAIR_H */
