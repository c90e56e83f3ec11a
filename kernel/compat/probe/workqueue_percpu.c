// SPDX-License-Identifier: GPL-2.0
/* A workqueue that is bound to processors says so. */
#include <linux/workqueue.h>

enum { PROBE = WQ_PERCPU };
