/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of the tests' own, without which there is no test.
 */
#ifndef COWSTACK_UNIT_SURELY_H
#define COWSTACK_UNIT_SURELY_H

#include <stdio.h>
#include <stdlib.h>

static inline void *surely(void *p)
{
	if (!p) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return p;
}

#endif /* COWSTACK_UNIT_SURELY_H */
