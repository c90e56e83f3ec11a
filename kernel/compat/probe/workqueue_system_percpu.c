// SPDX-License-Identifier: GPL-2.0
/* The system's workqueue has that in its name. */
#include <linux/workqueue.h>

static inline bool probe(struct work_struct *work)
{
	return queue_work(system_percpu_wq, work);
}
