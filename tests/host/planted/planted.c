// SPDX-License-Identifier: GPL-2.0
/*
 * Faults for checkers to find: tests/host/checkers.sh and kfence.sh.
 * "insmod planted.ko fault=NAME" commits one and, but for the leak, fails.
 */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>

static char *fault = "";
module_param(fault, charp, 0444);

static DEFINE_SPINLOCK(spinlock);
static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static void sleep_in_spinlock(void)
{
	spin_lock(&spinlock);
	kfree(kmalloc(100, GFP_KERNEL));
	spin_unlock(&spinlock);
}

static void shift_too_far(void)
{
	unsigned int shift = 40;
	unsigned int value = 1;

	OPTIMIZER_HIDE_VAR(shift);
	value <<= shift;
	OPTIMIZER_HIDE_VAR(value);
}

static void lock_both_ways(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void timer_fn(struct timer_list *timer)
{
}

static void free_armed_timer(void)
{
	struct timer_list *timer = kmalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return;
	timer_setup(timer, timer_fn, 0);
	mod_timer(timer, jiffies + 3600 * HZ);
	/* The checker disarms it. */
	kfree(timer);
}

static void use_after_free(void)
{
	u8 *memory = kmalloc(100, GFP_KERNEL);

	kfree(memory);
	/* What is freed is looked at, by a name that the compiler cannot follow. */
	OPTIMIZER_HIDE_VAR(memory);
	WRITE_ONCE(memory[7], 1);
}

static noinline void look_after_free(void)
{
	u8 *memory = kmalloc(100, GFP_KERNEL);

	kfree(memory);
	OPTIMIZER_HIDE_VAR(memory);
	READ_ONCE(memory[7]);
}

/* For a checker that looks at a sample of the allocations, one in each millisecond. */
static void look_often_after_free(void)
{
	unsigned long end = jiffies + HZ / 2;

	while (time_before(jiffies, end)) {
		look_after_free();
		cond_resched();
	}
}

/* Not a part of planted_init(), which has no name any more when leaks are told. */
static noinline void leak(void)
{
	u8 *memory = kmalloc(100, GFP_KERNEL);

	if (memory)
		WRITE_ONCE(memory[7], 1);
}

static const struct {
	const char *name;
	void (*commit)(void);
} faults[] = {
	{ "sleep", sleep_in_spinlock },
	{ "shift", shift_too_far },
	{ "locks", lock_both_ways },
	{ "timer", free_armed_timer },
	{ "freed", use_after_free },
	{ "looked_at", look_often_after_free },
	{ "leak", leak },
};

static int __init planted_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		if (!strcmp(faults[i].name, fault))
			faults[i].commit();
	/* Where a leak came from can be named as long as the module is there. */
	return strcmp(fault, "leak") ? -ECANCELED : 0;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_DESCRIPTION("faults for checkers to find");
MODULE_LICENSE("GPL");
