// SPDX-License-Identifier: GPL-2.0
/*
 * Bases: whether it is the one that the volume was made over, and who else uses
 * it.  A base is any device, with nothing of ours on it, so all that can be
 * compared is its size and a sample of its content.
 */
#include "base_sample.h"
#include "error_text.h"
#include "stack.h"

/* Volumes of one store sample the same places: their records compare. */
static u64 store_seed(struct store *store)
{
	__le64 seed;

	memcpy(&seed, store->metadata.superblock.uuid, sizeof(seed));
	return le64_to_cpu(seed);
}

static struct cowstack_volume_info copy_info(struct stack *stack)
{
	struct cowstack_volume_info info;

	mutex_lock(&stack->store->metadata_lock);
	info = stack->volume->info;
	mutex_unlock(&stack->store->metadata_lock);
	return info;
}

static bool content_fits(const struct cowstack_volume_info *info, u32 crc)
{
	return info->base_crc == crc || info->mixed_top != COWSTACK_BASE_LAYER;
}

/*
 * While a commit into the base is unfinished its content is between two states,
 * so only the size can be compared.
 */
int base_check(struct stack_table *table, struct store *store,
	       char **error_text)
{
	struct cowstack_volume_info before = copy_info(table->stack);
	struct cowstack_volume_info after;
	struct block_device *bdev = table->base->bdev;
	bool recorded = before.flags & COWSTACK_VOLUME_BASE_RECORDED;
	bool same_size = bdev_nr_sectors(bdev) == before.base_sectors;
	int error;

	/*
	 * What was written through the page cache is nothing that we read, and as long as
	 * anybody has the device open it may come down on what a commit has written since.
	 * What cannot be written is not there.
	 */
	sync_blockdev(bdev);
	table->base_seed = recorded ? before.base_seed : store_seed(store);
	base_sample_free(table->sample);
	table->sample = base_sample_new(bdev, table->base_seed);
	error = table->sample ? base_sample_read(table->sample, store, bdev,
						 &table->base_crc) : -ENOMEM;
	/* What a commit has failed to write may not be readable either. */
	if (error && recorded && same_size &&
	    before.mixed_top != COWSTACK_BASE_LAYER)
		error = 0;
	if (error) {
		*error_text = error_text_make("base %pg cannot be read", bdev);
		return error;
	}
	/* A commit of this very volume may have begun or ended meanwhile. */
	after = copy_info(table->stack);
	table->base_changed = !recorded || !same_size ||
			      (!content_fits(&before, table->base_crc) &&
			       !content_fits(&after, table->base_crc));
	if (!recorded || !table->base_changed || table->features.accept_base)
		return 0;
	*error_text = same_size ?
		error_text_make("%pg is not the recorded base %s: content differs; see accept_base",
				bdev, before.base_name) :
		error_text_make("%pg is not the recorded base %s: %llu sectors, not %llu",
				bdev, before.base_name,
				(u64)bdev_nr_sectors(bdev),
				before.base_sectors);
	return -ESTALE;
}

/* The stack whose mapped device @bdev is, or NULL; stores_mutex held. */
static struct stack *stack_of_device(struct block_device *bdev)
{
	struct store *store;
	struct stack *stack;

	list_for_each_entry(store, &stores, list)
		list_for_each_entry(stack, &store->stacks, list)
			if (dm_disk(stack->md) == bdev->bd_disk)
				return stack;
	return NULL;
}

/* Where a record says so the name is the UUID that dmcommit gives a stack. */
#define STACK_NAME_PREFIX "COWSTACK-"

void base_name(struct block_device *bdev, char name[COWSTACK_NAME_SIZE])
{
	struct stack *stack;

	memset(name, 0, COWSTACK_NAME_SIZE);
	mutex_lock(&stores_mutex);
	stack = stack_of_device(bdev);
	if (stack)
		snprintf(name, COWSTACK_NAME_SIZE, STACK_NAME_PREFIX "%pU-%u",
			 stack->store->metadata.superblock.uuid,
			 from_volume_id(stack->volume->info.id));
	else
		snprintf(name, COWSTACK_NAME_SIZE, "%pg", bdev);
	mutex_unlock(&stores_mutex);
}

/* Two stacks are two devices, however alike: machines over one master image. */
static bool are_two_stacks(const char *a, const char *b)
{
	return !strncmp(a, STACK_NAME_PREFIX, strlen(STACK_NAME_PREFIX)) &&
	       !strncmp(b, STACK_NAME_PREFIX, strlen(STACK_NAME_PREFIX)) &&
	       strcmp(a, b);
}

static struct stack *find_base_user(struct block_device *bdev,
				    const struct stack *but)
{
	struct store *store;
	struct stack *stack;

	list_for_each_entry(store, &stores, list)
		list_for_each_entry(stack, &store->stacks, list)
			if (stack != but && stack->base &&
			    stack->base->bd_dev == bdev->bd_dev)
				return stack;
	return NULL;
}

/*
 * Volumes of one store sample the same places, so that their records can be
 * compared.  While a commit is unfinished, though, the base holds neither what one
 * record nor what the other says; then the device's name, as last seen, counts too.
 * A size alone would call twenty different disks the same.
 */
static bool same_base(const struct cowstack_volume_info *a,
		      const struct cowstack_volume_info *b)
{
	if (!(a->flags & b->flags & COWSTACK_VOLUME_BASE_RECORDED) ||
	    a->base_sectors != b->base_sectors ||
	    are_two_stacks(a->base_name, b->base_name))
		return false;
	if (a->base_seed == b->base_seed && a->base_crc == b->base_crc)
		return true;
	return (a->mixed_top != COWSTACK_BASE_LAYER ||
		b->mixed_top != COWSTACK_BASE_LAYER) &&
	       !strcmp(a->base_name, b->base_name);
}

/* One that is live is known by its device. */
static bool is_live(struct store *store, const struct cowstack_volume *volume)
{
	struct stack *stack = stack_find(store, volume->info.id);

	lockdep_assert_held(&store->message_mutex);
	return stack && stack->base;
}

/*
 * A volume that is down, or has but a table that was never resumed, whose content a
 * write to the base would change; with @clean only one whose clean copies would
 * outlive their truth.
 */
static bool other_record(struct stack *stack, bool clean, char *name,
			 size_t size)
{
	struct cowstack_volume *volume;
	bool found = false;

	mutex_lock(&stack->store->metadata_lock);
	list_for_each_entry(volume, &stack->store->metadata.volumes, list) {
		u64 chunks = clean ? cowstack_volume_clean(volume) :
				     cowstack_volume_used(volume);

		if (volume == stack->volume || !chunks ||
		    is_live(stack->store, volume) ||
		    !same_base(&volume->info, &stack->volume->info))
			continue;
		snprintf(name, size, "volume %u (%s), which is down",
			 from_volume_id(volume->info.id), volume->info.name);
		found = true;
		break;
	}
	mutex_unlock(&stack->store->metadata_lock);
	return found;
}

bool base_has_copies(const struct stack *stack)
{
	struct store *store = stack->store;
	u64 chunks;

	mutex_lock(&store->metadata_lock);
	chunks = cowstack_volume_clean(stack->volume);
	mutex_unlock(&store->metadata_lock);
	return chunks;
}

/* Another live stack over the base; with @clean only one that has copies of it. */
static struct stack *other_user(struct stack *stack, bool clean)
{
	struct store *store;
	struct stack *other;

	list_for_each_entry(store, &stores, list) {
		list_for_each_entry(other, &store->stacks, list) {
			if (other == stack || !other->base ||
			    other->base->bd_dev != stack->base->bd_dev)
				continue;
			if (!clean || base_has_copies(other))
				return other;
		}
	}
	return NULL;
}

void base_note_sharing(struct stack *stack)
{
	struct store *store;
	struct stack *other;

	list_for_each_entry(store, &stores, list) {
		list_for_each_entry(other, &store->stacks, list) {
			if (other == stack || !other->base ||
			    other->base->bd_dev != stack->base->bd_dev)
				continue;
			if (READ_ONCE(stack->job_active))
				WRITE_ONCE(other->base_shared, true);
			if (READ_ONCE(other->job_active))
				WRITE_ONCE(stack->base_shared, true);
		}
	}
}

/* All tables of stacks, live or not; stores_mutex. */
static LIST_HEAD(stack_tables);

bool base_has_less_mode(const struct stack_table *table, dev_t device,
			blk_mode_t mode)
{
	const struct stack_table *other;
	bool less = false;

	mutex_lock(&stores_mutex);
	list_for_each_entry(other, &stack_tables, list)
		if (other->dm_table == table->dm_table &&
		    other->base->bdev->bd_dev == device &&
		    mode & ~other->base->mode)
			less = true;
	mutex_unlock(&stores_mutex);
	return less;
}

void base_watch(struct stack_table *table)
{
	list_add_tail(&table->list, &stack_tables);
}

void base_unwatch(struct stack_table *table)
{
	mutex_lock(&stores_mutex);
	list_del(&table->list);
	mutex_unlock(&stores_mutex);
}

/*
 * Tables that were loaded have checked a base which @writer changes now. Where their
 * stack is live over it all the same, it has been said that they share it.
 */
static void note_writer(const struct stack *writer)
{
	/* It may have no table any more. */
	dev_t base = writer->last_base;
	struct stack_table *table;

	list_for_each_entry(table, &stack_tables, list) {
		const struct stack *stack = table->stack;

		if (stack != writer && table->base->bdev->bd_dev == base &&
		    !(stack->base && stack->base->bd_dev == base))
			table->base_written = true;
	}
}

bool base_claim(struct stack *stack, bool records, char *name, size_t size)
{
	/* Who shares knows that its content changes; copies must not lie. */
	bool clean = stack->features.allow_shared_base;
	struct stack *other;

	if (records && other_record(stack, clean, name, size))
		return false;
	mutex_lock(&stores_mutex);
	other = other_user(stack, clean);
	if (other) {
		strscpy(name, other->name, size);
	} else {
		WRITE_ONCE(stack->job_active, true);
		base_note_sharing(stack);
	}
	mutex_unlock(&stores_mutex);
	return !other;
}

void base_note_writing(struct stack *stack)
{
	mutex_lock(&stores_mutex);
	note_writer(stack);
	mutex_unlock(&stores_mutex);
}

void base_release(struct stack *stack)
{
	WRITE_ONCE(stack->job_active, false);
}

struct stack *base_writer(struct block_device *bdev, const struct stack *but,
			  bool copies)
{
	struct store *store;
	struct stack *stack;

	list_for_each_entry(store, &stores, list)
		list_for_each_entry(stack, &store->stacks, list)
			if (stack != but && stack->base &&
			    stack->base->bd_dev == bdev->bd_dev &&
			    READ_ONCE(stack->job_active) &&
			    (copies || !stack->features.allow_shared_base))
				return stack;
	return NULL;
}

bool base_is_in_use(struct block_device *bdev)
{
	return find_base_user(bdev, NULL);
}

static bool lies_in_store(struct block_device *bdev, struct store *store,
			  int levels);

/* A stack lies on its base, and on what its store lies on. */
static bool stack_lies_in_store(const struct stack *stack, struct store *store,
				int levels)
{
	return stack->store == store ||
	       (stack->base &&
		lies_in_store(stack->base, store, levels - 1)) ||
	       (stack->store->active &&
		lies_in_store(stack->store->bdev, store, levels - 1));
}

static bool lies_in_store(struct block_device *bdev, struct store *store,
			  int levels)
{
	struct store *other;
	struct stack *stack;

	if (bdev->bd_dev == store->device)
		return true;
	/* A table may have several. */
	list_for_each_entry(other, &stores, list)
		list_for_each_entry(stack, &other->stacks, list)
			if (levels && dm_disk(stack->md) == bdev->bd_disk &&
			    stack_lies_in_store(stack, store, levels))
				return true;
	return false;
}

bool base_lies_in_store(struct block_device *bdev, struct store *store)
{
	return lies_in_store(bdev, store, 8);
}
