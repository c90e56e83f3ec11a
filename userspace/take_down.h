/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Taking stacks and stores down, all of them durable.  What is in use is refused.
 */
#ifndef DMCOMMIT_TAKE_DOWN_H
#define DMCOMMIT_TAKE_DOWN_H

#include "inventory.h"

/* A volume that is up. */
enum exit_code volume_take_down(const struct volume *volume);

/* A store by its name or device, also one that does not answer any more. */
enum exit_code store_take_down(struct inventory *inventory, const char *text);

#endif /* DMCOMMIT_TAKE_DOWN_H */
