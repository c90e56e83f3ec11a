/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault-seeded builds: with COWSTACK_FAULT one rule of the order of things is
 * broken on purpose, and the tests must notice.  In every other build the
 * compiler sees a constant false and nothing is left of it.
 */
#ifndef COWSTACK_CORE_FAULT_H
#define COWSTACK_CORE_FAULT_H

enum cowstack_fault {
	FAULT_SKIP_DESTINATION_FLUSH = 1,
	FAULT_SKIP_STORE_FLUSH = 2,	/* in a step */
	FAULT_DROP_BEFORE_COPY = 3,	/* words dropped before copy is durable */
	FAULT_DROP_IN_TWO_STEPS = 4,	/* newest first */
	FAULT_EARLY_FUA = 5,
	FAULT_REUSE_BEFORE_DURABLE = 6,
	FAULT_REUSE_BEFORE_DRAINED = 7,
	FAULT_CHECKPOINT_LIVE_PAGE = 8,
	FAULT_OVERWRITE_CLEAN = 9,
	FAULT_NO_RANGE_CHECK = 10,	/* on load */
};

#ifndef COWSTACK_FAULT
#define COWSTACK_FAULT 0
#endif

/* What COWSTACK_FAULT is in such a build of the module: kernel/fault.c. */
extern const int cowstack_broken_rule;

#define cowstack_fault(n) (COWSTACK_FAULT == (n))

#endif /* COWSTACK_CORE_FAULT_H */
