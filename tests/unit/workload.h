/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random work on an open store: whatever users and the store itself may do.
 */
#ifndef COWSTACK_UNIT_WORKLOAD_H
#define COWSTACK_UNIT_WORKLOAD_H

#include "store_driver.h"

void workload_do_something(struct store_driver *d);

/* A write of a guest, begun. */
void workload_write(struct store_driver *d, struct driver_volume *v);

/* All that is in flight ends, all that waits is done, and nothing is missing. */
void workload_quiesce(struct store_driver *d);

/* Opens the store, works until the power is cut, sometimes to a clean end; closes. */
void workload_until_cut(struct store_driver *d);

/* What a test was told by the environment. */
u64 number_from_environment(const char *name, u64 otherwise);

#endif /* COWSTACK_UNIT_WORKLOAD_H */
