/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random work on an open store: whatever users and the store itself may do.
 */
#ifndef COWSTACK_UNIT_WORKLOAD_H
#define COWSTACK_UNIT_WORKLOAD_H

#include "store_driver.h"

void workload_do_something(struct store_driver *d);

/* All that is in flight ends, all that waits is done, and nothing is missing. */
void workload_quiesce(struct store_driver *d);

#endif /* COWSTACK_UNIT_WORKLOAD_H */
