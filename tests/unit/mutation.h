/* SPDX-License-Identifier: GPL-2.0 */
#ifndef COWSTACK_UNIT_MUTATION_H
#define COWSTACK_UNIT_MUTATION_H

#include "random.h"

/* Often one at which something ends. */
u64 interesting_number(struct random *r);

/* Bits, numbers, small steps up and down, and pieces copied over others; of @length > 0. */
void mutate_bytes(struct random *r, u8 *bytes, u32 length);

#endif /* COWSTACK_UNIT_MUTATION_H */
