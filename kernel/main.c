// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>

#include "stack.h"

static int __init cowstack_init(void)
{
	int error = store_target_register();

	if (error)
		return error;
	error = stack_target_register();
	if (error)
		store_target_unregister();
	return error;
}

static void __exit cowstack_exit(void)
{
	stack_target_unregister();
	store_target_unregister();
}

module_init(cowstack_init);
module_exit(cowstack_exit);

MODULE_DESCRIPTION("Layered copy-on-write device-mapper target");
MODULE_AUTHOR("dm-cowstack developers");
MODULE_LICENSE("GPL");
MODULE_ALIAS("dm-cowstore");
