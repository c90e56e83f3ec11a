/* SPDX-License-Identifier: GPL-2.0 */
/* What an enemy has written is offered to the module: hostile_test.c. */
#ifndef COWSTACK_CRASH_HOSTILE_H
#define COWSTACK_CRASH_HOSTILE_H

#include "random.h"

struct hostile_options {
	u64 count;
	u64 seed;
	u64 check_every;		/* stores: dmcommit looks at each n-th */
	const char *directory;		/* of what there is to begin with */
	bool only;			/* the last of the count alone */
};

struct hostile_file {
	char *name;
	u8 *bytes;
	size_t size;
};

/*
 * Something is wrong with what is offered now.  The rest is looked at no more:
 * devices may be left.
 */
__printf(1, 2)
void hostile_found(const char *format, ...);
bool hostile_has_found(void);

/* The next is offered, of which a finding is; nothing of it takes for ever. */
void hostile_begin(u64 number, const char *what);
void hostile_end(void);

/* All files in the directory's @part, in the order of their names; exits on errors. */
struct hostile_file *hostile_files(const struct hostile_options *o,
				   const char *part, u32 *count);

/* The numbers of one after the other are independent of each other. */
void hostile_seed(struct random *r, const struct hostile_options *o, u64 number);

/* Kilobytes that programs could have now. */
u64 hostile_memory(void);

void hostile_stores(const struct hostile_options *o);
void hostile_lines(const struct hostile_options *o);

#endif /* COWSTACK_CRASH_HOSTILE_H */
