// SPDX-License-Identifier: GPL-2.0
/* Users' flushes, and what else waits until a step is durable. */
#include <linux/blk-cgroup.h>

#include "stack.h"

static void flush_done(struct step_waiter *waiter, int error)
{
	struct cowstack_io *io = container_of(waiter, struct cowstack_io,
					      waiter);

	io->stepped = true;
	io_complete(io, error);
}

static bool flush_goes_back(const struct step_waiter *waiter)
{
	return stack_pushes_back(container_of(waiter, struct cowstack_io, waiter)->stack);
}

void io_wait_for_step(struct cowstack_io *io)
{
	io->waiter.done = flush_done;
	io->waiter.goes_back = flush_goes_back;
	journal_wait(io->stack->store, &io->waiter);
}

/*
 * A step may come to wait for a user's flush, and every user for that.  So one goes straight
 * to the device only if nothing can hold it on its way.
 */

/* It may have them: it is of another group than the first. */
static bool has_limits(struct bio *bio)
{
	struct cgroup_subsys_state *css = bio_blkcg_css(bio);

	return css && css != blkcg_root_css;
}

/*
 * Below a table of several targets it waits on its sender's list, while dm looks for memory
 * for the next one's.  And a device of dm's own sends others for it, with the limits of the
 * sender's group.
 */
static bool may_go_direct(struct store *store, struct dm_target *ti, struct bio *bio)
{
	return dm_table_get_size(ti->table) == ti->len &&
	       (queue_is_mq(bdev_get_queue(store->bdev)) || !has_limits(bio));
}

/* Without these limits; dm, if left to send it, puts them back. */
static void send_direct_flush(struct store *store, struct bio *bio)
{
	bio_set_dev(bio, store->bdev);
	if (has_limits(bio))
		bio_associate_blkg_from_css(bio, blkcg_root_css);
	submit_bio_noacct(bio);
}

int io_map_flush(struct cowstack_io *io, struct dm_target *ti, struct bio *bio)
{
	struct stack *stack = io->stack;
	struct store *store = stack->store;

	/* The device may be another outside of the drain section. */
	if (!journal_is_dirty(store) && io_enter_drain(io)) {
		io->direct_flush = may_go_direct(store, ti, bio) &&
				   flush_enter_direct(store);
		if (io->direct_flush) {
			send_direct_flush(store, bio);
			return DM_MAPIO_SUBMITTED;
		}
		io_leave(io);
	}
	io_wait_for_step(io);
	return DM_MAPIO_SUBMITTED;
}

bool io_end_flush(struct cowstack_io *io, bool failed)
{
	struct store *store = io->stack->store;

	io->direct_flush = false;
	flush_leave_direct(store, failed);
	return READ_ONCE(store->words_lost);
}
