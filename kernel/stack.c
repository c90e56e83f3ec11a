// SPDX-License-Identifier: GPL-2.0
#include "base_sample.h"
#include "error_text.h"
#include "job.h"
#include "stack.h"

struct stack *stack_find(struct store *store, volume_id_t id)
{
	struct stack *stack;

	list_for_each_entry(stack, &store->stacks, list)
		if (stack->volume->info.id == id)
			return stack;
	return NULL;
}

static struct stack *share_stack(struct stack *stack, struct mapped_device *md,
				 char **error_text)
{
	if (stack->md != md) {
		*error_text = error_text_make("volume %u is up already, as %s",
					      from_volume_id(stack->volume->info.id),
					      stack->name);
		return ERR_PTR(-EBUSY);
	}
	stack->users++;
	return stack;
}

/* The range lock's regions are 1 MiB, or a chunk where that is all of it. */
static u32 region_shift(const struct cowstack_geometry *g)
{
	return ilog2(COWSTACK_MAX_CHUNK_SECTORS) - g->chunk_shift;
}

static struct stack *new_stack(struct store *store, struct mapped_device *md,
			       struct cowstack_volume *volume)
{
	struct stack *stack = kvzalloc(sizeof(*stack), GFP_KERNEL);

	if (!stack)
		return NULL;
	if (io_gate_init(&stack->writes)) {
		kvfree(stack);
		return NULL;
	}
	stack->users = 1;
	stack->store = store;
	stack->md = md;
	stack->volume = volume;
	/* As jobs_park() would have left it, had it been there before. */
	stack->parked = store->suspended;
	copy_device_name(md, stack->name);
	bio_list_init(&stack->held_writes);
	job_init_stack(stack);
	range_lock_table_init(&stack->ranges,
			      region_shift(store_geometry(store)));
	return stack;
}

/* Chain and index of volume @id; 0, -ENOENT, -ENOMEM, -E2BIG. */
static int bring_up(struct store *store, volume_id_t id,
		    struct cowstack_volume **volume)
{
	int error;

	mutex_lock(&store->metadata_lock);
	*volume = cowstack_volume_find(&store->metadata, id);
	error = *volume ? cowstack_volume_bring_up(&store->metadata, *volume) :
			  -ENOENT;
	mutex_unlock(&store->metadata_lock);
	return error;
}

static void take_down(struct store *store, struct cowstack_volume *volume)
{
	mutex_lock(&store->metadata_lock);
	cowstack_volume_take_down(volume);
	mutex_unlock(&store->metadata_lock);
}

/* False: the store has lost its table meanwhile. */
static bool enter_registry(struct stack *stack)
{
	struct store *store = stack->store;
	bool active;

	mutex_lock(&stores_mutex);
	active = store->active;
	if (active) {
		store->users++;
		list_add_tail(&stack->list, &store->stacks);
	}
	mutex_unlock(&stores_mutex);
	return active;
}

struct stack *stack_open(struct store *store, struct mapped_device *md,
			 volume_id_t id, char **error_text)
{
	struct cowstack_volume *volume;
	struct stack *stack;
	int error;

	lockdep_assert_held(&store->message_mutex);
	stack = stack_find(store, id);
	if (stack)
		return share_stack(stack, md, error_text);
	error = bring_up(store, id, &volume);
	if (error) {
		*error_text = error == -ENOENT ?
			error_text_make("%s has no volume %u", store->name,
					from_volume_id(id)) :
			"no memory for the volume's index";
		return ERR_PTR(error);
	}
	stack = new_stack(store, md, volume);
	if (!stack) {
		*error_text = "no memory for a stack";
		take_down(store, volume);
		return ERR_PTR(-ENOMEM);
	}
	if (!enter_registry(stack)) {
		*error_text = error_text_make("%s is going", store->name);
		take_down(store, volume);
		io_gate_exit(&stack->writes);
		kvfree(stack);
		return ERR_PTR(-ENODEV);
	}
	return stack;
}

void stack_put(struct stack *stack)
{
	struct store *store = stack->store;

	mutex_lock(&store->message_mutex);
	if (--stack->users) {
		mutex_unlock(&store->message_mutex);
		return;
	}
	job_end_thread(stack);
	mutex_lock(&stores_mutex);
	list_del(&stack->list);
	mutex_unlock(&stores_mutex);
	take_down(store, stack->volume);
	mutex_unlock(&store->message_mutex);
	io_gate_exit(&stack->writes);
	base_sample_free(stack->sample);
	kvfree(stack);
	store_put(store);
}
