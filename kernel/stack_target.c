// SPDX-License-Identifier: GPL-2.0
/*
 * The target "cowstack": a volume that is up.
 *
 *   <start> <length> cowstack <base dev> <cowstore dev> <volume id>
 *           [<#feature words> <word>…]
 */
#include <linux/sched/mm.h>

#include "base_sample.h"
#include "core/commit_plan.h"
#include "error_text.h"
#include "job.h"
#include "stack.h"

/*
 * The live store behind the cowstore device, with one more user, or an errno
 * with a text.
 */
static struct store *find_live_store(struct dm_target *ti, const char *path,
				     struct dm_dev *dev)
{
	struct mapped_device *md = dm_get_md(dev->bdev->bd_dev);
	struct store *store = NULL;

	if (md) {
		mutex_lock(&stores_mutex);
		store = store_find(md);
		if (store && store->active)
			store->users++;
		else
			store = NULL;
		mutex_unlock(&stores_mutex);
		dm_put(md);
	}
	if (!store) {
		ti->error = error_text_make("%s is no cowstore that is up",
					    path);
		return ERR_PTR(-ENODEV);
	}
	if (store->mode == STORE_FAIL) {
		ti->error = error_text_make("%s has failed", path);
		store_put(store);
		return ERR_PTR(-EIO);
	}
	return store;
}

/* What the registry of stores and bases has against the base. */
static int check_registry(struct dm_target *ti, struct stack_table *table,
			  const char *path)
{
	struct block_device *bdev = table->base->bdev;
	struct stack *writer = base_writer(bdev, table->stack, false);

	if (store_find_device(bdev->bd_dev)) {
		ti->error = error_text_make("base %s is a store", path);
		return -EBUSY;
	}
	if (base_lies_in_store(bdev, table->stack->store)) {
		ti->error = error_text_make("base %s lies in the stack's own store",
					    path);
		return -ELOOP;
	}
	if (writer) {
		ti->error = error_text_make("base %s is being committed into by %s",
					    path, writer->name);
		return -EBUSY;
	}
	return 0;
}

static int check_base_device(struct dm_target *ti, struct stack_table *table,
			     const char *path)
{
	int error;

	if (!table->features.read_only_base &&
	    bdev_read_only(table->base->bdev)) {
		ti->error = error_text_make("base %s is read-only (read_only_base 1 takes it)",
					    path);
		return -EROFS;
	}
	/* Commits write anywhere, in ascending order but with gaps. */
	if (bdev_is_zoned(table->base->bdev)) {
		ti->error = error_text_make("base %s is zoned", path);
		return -EINVAL;
	}
	/* A chunk may be no more than that. */
	if (bdev_logical_block_size(table->base->bdev) > COWSTACK_BLOCK_SIZE) {
		ti->error = error_text_make("base %s has logical blocks of more than %u bytes",
					    path, COWSTACK_BLOCK_SIZE);
		return -EINVAL;
	}
	mutex_lock(&stores_mutex);
	error = check_registry(ti, table, path);
	if (!error)
		base_watch(table);
	mutex_unlock(&stores_mutex);
	return error;
}

/* Of the table that is live; 0: none is. */
static unsigned int live_block(struct stack *stack)
{
	unsigned int block = 0;

	mutex_lock(&stack->store->message_mutex);
	if (stack->base)
		block = max(bdev_logical_block_size(stack->base),
			    stack->store->logical_block);
	mutex_unlock(&stack->store->message_mutex);
	return block;
}

/*
 * What was written over smaller blocks may lie in pieces that are none of these. No
 * more of that comes while the table is live: users see the largest.
 */
static int check_blocks(struct dm_target *ti, struct stack_table *table,
			const char *path)
{
	struct stack *stack = table->stack;
	struct store *store = stack->store;
	unsigned int block = max(bdev_logical_block_size(table->base->bdev),
				 store->logical_block);
	unsigned int live = live_block(stack);
	bool aligned = true;

	if (live && block > live) {
		ti->error = error_text_make("base %s has larger logical blocks than the one in use",
					    path);
		return -EINVAL;
	}
	/*
	 * All words of all layers: other volumes' steps must not wait for that.  A job
	 * holds this lock over I/O, but while there is one the table is live.
	 */
	if (!live) {
		mutex_lock(&stack->chain_mutex);
		aligned = cowstack_chain_is_aligned(store_geometry(store),
						    stack->volume->top,
						    block >> SECTOR_SHIFT);
		mutex_unlock(&stack->chain_mutex);
	}
	if (aligned)
		return 0;
	ti->error = error_text_make("layers hold less than whole %u-byte blocks: commit offline",
				    block);
	return -EINVAL;
}

static int get_base(struct dm_target *ti, struct stack_table *table,
		    const char *path)
{
	blk_mode_t mode = table->features.read_only_base ?
				  BLK_OPEN_READ : BLK_OPEN_READ | BLK_OPEN_WRITE;
	int error;

	if (base_has_less_mode(table, compat_device_number(path), mode)) {
		ti->error = error_text_make("base %s is opened read-only in this table",
					    path);
		return -EINVAL;
	}
	error = dm_get_device(ti, path, mode, &table->base);
	if (error) {
		ti->error = error == -EROFS || error == -EACCES ?
			error_text_make("base %s is read-only (read_only_base 1 takes it)",
					path) :
			error_text_make("cannot open base %s", path);
		return error;
	}
	error = check_base_device(ti, table, path);
	if (error)
		goto put_base;
	error = check_blocks(ti, table, path);
	if (!error)
		error = base_check(table, table->stack->store, &ti->error);
	if (!error)
		return 0;
	base_unwatch(table);
put_base:
	dm_put_device(ti, table->base);
	return error;
}

static int check_length(struct dm_target *ti, const struct stack *stack)
{
	u64 sectors = stack->volume->info.sectors;

	if (ti->len <= sectors)
		return 0;
	ti->error = error_text_make("length %llu is more than the volume's %llu",
				    (u64)ti->len, sectors);
	return -EINVAL;
}

/* One table may hold stacks of several volumes, but each once. */
static int check_table(struct dm_target *ti, struct stack *stack)
{
	int error = 0;

	mutex_lock(&stack->store->message_mutex);
	if (stack->newest == ti->table) {
		ti->error = error_text_make("volume %u stands in the table twice",
					    from_volume_id(stack->volume->info.id));
		error = -EBUSY;
	}
	stack->newest = ti->table;
	mutex_unlock(&stack->store->message_mutex);
	return error;
}

/* The table goes: another may come to lie at its address. */
static void leave_table(struct dm_target *ti, struct stack *stack)
{
	mutex_lock(&stack->store->message_mutex);
	if (stack->newest == ti->table)
		stack->newest = NULL;
	mutex_unlock(&stack->store->message_mutex);
}

static void set_target_limits(struct dm_target *ti)
{
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_discard_bios = 1;
	ti->discards_supported = true;
	ti->num_write_zeroes_bios = 1;
	ti->per_io_data_size = sizeof(struct cowstack_io);
}

static int build_stack(struct dm_target *ti, struct stack_table *table,
		       const struct stack_line *line)
{
	struct store *store;
	unsigned int noio;
	int error;

	error = dm_get_device(ti, line->store, dm_table_get_mode(ti->table),
			      &table->store_dev);
	if (error) {
		ti->error = error_text_make("cannot open cowstore %s",
					    line->store);
		return error;
	}
	/* One device opened twice with two modes: dm would free it under us. */
	if (compat_device_number(line->base) == table->store_dev->bdev->bd_dev) {
		ti->error = error_text_make("base %s is the cowstore",
					    line->base);
		error = -EINVAL;
		goto put_store_dev;
	}
	store = find_live_store(ti, line->store, table->store_dev);
	if (IS_ERR(store)) {
		error = PTR_ERR(store);
		goto put_store_dev;
	}
	/* A resume may wait for the mutex: memory must not wait for a resume. */
	noio = memalloc_noio_save();
	mutex_lock(&store->message_mutex);
	table->stack = stack_open(store, dm_table_get_md(ti->table),
				  line->volume, &ti->error);
	mutex_unlock(&store->message_mutex);
	memalloc_noio_restore(noio);
	/* The stack holds the store from here on. */
	store_put(store);
	if (IS_ERR(table->stack)) {
		error = PTR_ERR(table->stack);
		goto put_store_dev;
	}
	error = check_table(ti, table->stack);
	if (!error)
		error = check_length(ti, table->stack);
	if (!error)
		error = get_base(ti, table, line->base);
	if (!error)
		return 0;
	leave_table(ti, table->stack);
	stack_put(table->stack);
put_store_dev:
	dm_put_device(ti, table->store_dev);
	return error;
}

static int stack_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct stack_table *table;
	struct refusal refusal;
	struct stack_line line;
	int error;

	error = stack_line_parse(argc, argv, &line, &refusal);
	if (error) {
		ti->error = error_text_make("%s", refusal.text);
		return error;
	}
	table = kzalloc(sizeof(*table), GFP_KERNEL);
	if (!table) {
		ti->error = "no memory";
		return -ENOMEM;
	}
	table->features = line.features;
	table->dm_table = ti->table;
	error = build_stack(ti, table, &line);
	if (error) {
		base_sample_free(table->sample);
		kfree(table);
		return error;
	}
	set_target_limits(ti);
	ti->private = table;
	return 0;
}

/* Clean copies of another base, which is accepted, go before anything is read. */
static bool keeps_copies(const struct stack *stack,
			 const struct stack_table *table)
{
	return !table->base_changed && base_has_copies(stack);
}

/*
 * @ti is the stack's live table from now on; NULL: there is none.  -EBUSY: its
 * base has come to other use since the table was built; -ESTALE: what was read of it
 * then is no longer so.
 */
static int set_live_table(struct stack *stack, struct dm_target *ti)
{
	struct stack_table *table = ti ? ti->private : NULL;

	mutex_lock(&stores_mutex);
	if (table && (base_writer(table->base->bdev, stack,
				  keeps_copies(stack, table)) ||
		      store_find_device(table->base->bdev->bd_dev))) {
		mutex_unlock(&stores_mutex);
		return -EBUSY;
	}
	if (table && table->base_written) {
		mutex_unlock(&stores_mutex);
		return -ESTALE;
	}
	if (table && READ_ONCE(stack->store->stable_writes))
		compat_queue_stable_writes(dm_disk(stack->md)->queue);
	stack->target = ti;
	stack->base = table ? table->base->bdev : NULL;
	stack->base_sectors = table ? bdev_nr_sectors(stack->base) : 0;
	if (table) {
		stack->features = table->features;
		stack->last_base = stack->base->bd_dev;
		base_note_sharing(stack);
	}
	mutex_unlock(&stores_mutex);
	return 0;
}

static void stack_dtr(struct dm_target *ti)
{
	struct stack_table *table = ti->private;
	struct stack *stack = table->stack;

	mutex_lock(&stack->store->message_mutex);
	if (stack->target == ti) {
		/* Where another target's resume failed this one was live, and nobody parked it. */
		job_end_thread(stack);
		set_live_table(stack, NULL);
	}
	mutex_unlock(&stack->store->message_mutex);
	leave_table(ti, stack);
	base_unwatch(table);
	stack_put(stack);
	dm_put_device(ti, table->base);
	dm_put_device(ti, table->store_dev);
	base_sample_free(table->sample);
	kfree(table);
}

static int stack_map(struct dm_target *ti, struct bio *bio)
{
	struct stack_table *table = ti->private;

	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	return io_map(table->stack, ti, bio);
}

static int stack_end_io(struct dm_target *ti, struct bio *bio,
			blk_status_t *error)
{
	return io_end(bio, error);
}

/* --- suspend and resume --- */

/* A noflush suspend: nothing may wait inside, not even for room. */
static void stack_presuspend(struct dm_target *ti)
{
	struct stack_table *table = ti->private;

	WRITE_ONCE(table->stack->hurried, true);
	if (dm_noflush_suspending(ti)) {
		WRITE_ONCE(table->stack->pushing_back, true);
		defer_push_back(table->stack);
	}
}

static void stack_presuspend_undo(struct dm_target *ti)
{
	struct stack_table *table = ti->private;

	WRITE_ONCE(table->stack->pushing_back, false);
	WRITE_ONCE(table->stack->hurried, false);
}

/* False: it is not the live table, or has been here before. */
static bool begin_suspend(struct stack *stack, struct dm_target *ti)
{
	bool begins;

	mutex_lock(&stack->store->message_mutex);
	begins = stack->target == ti && !stack->suspended;
	if (begins) {
		stack->suspended = true;
		job_park(stack);
	}
	mutex_unlock(&stack->store->message_mutex);
	return begins;
}

/* No bio of a user is in flight any more; ours end too.  May run twice. */
static void stack_postsuspend(struct dm_target *ti)
{
	struct stack_table *table = ti->private;
	struct stack *stack = table->stack;

	if (!begin_suspend(stack, ti))
		return;
	job_wait_parked(stack);
	/*
	 * What was written without a flush is made durable, unless the store is
	 * suspended: then its own suspend has done it.
	 */
	if (store_is_rw(stack->store))
		journal_flush(stack->store);
}

struct identity {
	u64 sectors;
	u64 seed;
	u32 crc;
	char name[COWSTACK_NAME_SIZE];
};

static void update_identity(struct cowstack_volume_info *info,
			    const void *argument)
{
	const struct identity *identity = argument;

	/* Nothing is known of another base but that it is one. */
	if (info->base_sectors != identity->sectors ||
	    info->base_crc != identity->crc)
		info->base_time = 0;
	info->base_sectors = identity->sectors;
	info->base_seed = identity->seed;
	info->base_crc = identity->crc;
	info->flags |= COWSTACK_VOLUME_BASE_RECORDED;
	memcpy(info->base_name, identity->name, sizeof(info->base_name));
}

/* The first write on behalf of a stack: never before its first resume. */
static int record_base(struct stack_table *table)
{
	struct store *store = table->stack->store;
	struct identity identity = {
		.sectors = bdev_nr_sectors(table->base->bdev),
		.seed = table->base_seed,
		.crc = table->base_crc,
	};
	struct store_change change;
	int error;

	base_name(table->base->bdev, identity.name);
	mutex_lock(&store->metadata_lock);
	error = cowstack_change_info(&change.change, &store->metadata,
				     table->stack->volume, update_identity,
				     &identity);
	mutex_unlock(&store->metadata_lock);
	if (!error)
		error = journal_commit(store, &change);
	store_change_free(&change);
	return error;
}

/*
 * Clean copies are copies of the base that was.  They go before anything is read
 * over another one.
 */
static int drop_clean_copies(struct stack *stack)
{
	struct store *store = stack->store;
	struct store_change change = { };
	int error = 0;

	mutex_lock(&stack->chain_mutex);
	mutex_lock(&store->metadata_lock);
	if (cowstack_volume_clean(stack->volume))
		error = cowstack_change_drop_clean(&change.change,
						   &store->metadata,
						   stack->volume);
	else
		error = -ENODATA;
	mutex_unlock(&store->metadata_lock);
	if (!error)
		error = journal_commit(store, &change);
	store_change_free(&change);
	mutex_unlock(&stack->chain_mutex);
	return error == -ENODATA ? 0 : error;
}

/* At the first load the record alone can tell. */
static bool has_other_base(const struct stack *stack,
			   const struct stack_table *table)
{
	return stack->last_base ?
		       stack->last_base != table->base->bdev->bd_dev :
		       table->base_changed;
}

/* What a reload changes under a job that was parked for it. */
static void check_parked_job(struct stack *stack, struct stack_table *table)
{
	/* A base taken over drops clean copies, in layers that it knows. */
	if (table->features.read_only_base || has_other_base(stack, table) ||
	    table->base_changed ||
	    (table->features.allow_shared_base && job_keeps_copies(stack)))
		job_end_thread(stack);
}

/*
 * What the constructor has read of the base is right if the record says the same; a
 * commit of ours may have written since.  In the middle of one, the sample that has
 * seen its writes knows more.
 */
static void hand_over_sample(struct stack *stack, struct stack_table *table,
			     bool same_base)
{
	const struct cowstack_volume_info *info = &stack->volume->info;
	bool is_right, mixed;

	if (!table->sample)
		return;		/* it has been live before */
	mutex_lock(&stack->store->metadata_lock);
	mixed = info->mixed_top != COWSTACK_BASE_LAYER;
	is_right = !mixed && info->base_crc == table->base_crc &&
		   info->base_seed == table->base_seed;
	mutex_unlock(&stack->store->metadata_lock);
	if (is_right) {
		swap(stack->sample, table->sample);
	} else if (!mixed || !same_base) {
		base_sample_free(stack->sample);
		stack->sample = NULL;
	}
	base_sample_free(table->sample);
	table->sample = NULL;
}

static void say_why_not_live(const struct stack *stack, int error)
{
	if (error == -ESTALE)
		pr_err("cowstack %s: another stack has committed into the base since the table was loaded: load it again\n",
		       stack->name);
	else
		pr_err("cowstack %s: the base is a store by now, or is being committed into by another stack\n",
		       stack->name);
}

static int go_live(struct dm_target *ti, struct stack_table *table)
{
	struct stack *stack = table->stack;
	bool same_base = stack->last_base == table->base->bdev->bd_dev &&
			 !table->base_changed;
	bool other_base = has_other_base(stack, table);
	int error;

	copy_device_name(stack->md, stack->name);	/* it may be renamed */
	check_parked_job(stack, table);
	error = set_live_table(stack, ti);
	if (error) {
		say_why_not_live(stack, error);
		return error;
	}
	if (!table->base_changed) {
		stack->job_held |= other_base;
		hand_over_sample(stack, table, same_base);
		return 0;
	}
	/* Only of a base that is ours to use. */
	error = drop_clean_copies(stack);
	if (!error)
		error = record_base(table);
	if (error) {
		pr_err("cowstack %s: the base could not be recorded: error %d\n",
		       stack->name, error);
		set_live_table(stack, NULL);
		return error;
	}
	table->base_changed = false;
	stack->job_held |= other_base;
	hand_over_sample(stack, table, same_base);
	return 0;
}

static int stack_preresume(struct dm_target *ti)
{
	struct stack_table *table = ti->private;
	struct store *store = table->stack->store;
	int error;

	mutex_lock(&store->message_mutex);
	error = go_live(ti, table);
	mutex_unlock(&store->message_mutex);
	return error;
}

static void stack_resume(struct dm_target *ti)
{
	struct stack_table *table = ti->private;
	struct stack *stack = table->stack;
	unsigned int noio;

	WRITE_ONCE(stack->pushing_back, false);
	WRITE_ONCE(stack->hurried, false);
	/* dm still holds bios back: memory must not wait for any of them. */
	noio = memalloc_noio_save();
	mutex_lock(&stack->store->message_mutex);
	if (stack->suspended) {
		stack->suspended = false;
		job_unpark(stack);
	}
	if (!READ_ONCE(stack->store->suspended))
		job_take_up(stack);
	mutex_unlock(&stack->store->message_mutex);
	memalloc_noio_restore(noio);
}

/* --- the rest --- */

static void stack_target_status(struct dm_target *ti, status_type_t type,
				unsigned int flags, char *result,
				unsigned int maxlen)
{
	struct stack_table *table = ti->private;
	struct stack *stack = table->stack;
	size_t sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		stack_status(stack, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %s %u", table->base->name, table->store_dev->name,
		       from_volume_id(stack->volume->info.id));
		features_print(&stack_feature_table, &table->features, result,
			       sz, maxlen);
		break;
	case STATUSTYPE_IMA:
		DMEMIT_TARGET_NAME_VERSION(ti->type);
		DMEMIT(",base_device=%s,cowstore=%s,volume=%u;",
		       table->base->name, table->store_dev->name,
		       from_volume_id(stack->volume->info.id));
		break;
	}
}

/* Copies that a job makes of the base must stay true. */
static int check_features(const struct stack *stack,
			  const struct stack_features *features,
			  struct refusal *refusal)
{
	if (!features->allow_shared_base || stack->features.allow_shared_base ||
	    !job_keeps_copies(stack))
		return 0;
	return refusal_set(refusal, -EBUSY,
			   "allow_shared_base 1: a commit with retain 1 is not finished");
}

static int set_feature(struct stack_table *table, const char *name,
		       const char *value)
{
	struct stack_features features;
	struct refusal refusal;
	int error;

	mutex_lock(&table->stack->store->message_mutex);
	features = table->features;
	error = features_set(&stack_feature_table, &features, name, value,
			     &refusal);
	if (!error)
		error = check_features(table->stack, &features, &refusal);
	if (error) {
		pr_err("cowstack %s: set: %s\n", table->stack->name,
		       refusal.text);
	} else {
		table->features = features;
		table->stack->features = features;
	}
	mutex_unlock(&table->stack->store->message_mutex);
	return error;
}

static int stack_target_message(struct dm_target *ti, unsigned int argc,
				char **argv, char *result, unsigned int maxlen)
{
	struct stack_table *table = ti->private;

	if (!strcmp(argv[0], "set") && argc != 3) {
		pr_err("cowstack %s: set: wants a feature and a value\n",
		       table->stack->name);
		return -EINVAL;
	}
	if (!strcmp(argv[0], "set"))
		return set_feature(table, argv[1], argv[2]);
	return stack_message(table->stack, argc, argv, result, maxlen);
}

static int stack_iterate_devices(struct dm_target *ti,
				 iterate_devices_callout_fn fn, void *data)
{
	struct stack_table *table = ti->private;
	/*
	 * The base may be shorter than we are, begins at its start, and may end within
	 * a block of the store's, which dm would take for a mistake.
	 */
	sector_t most = round_down(bdev_nr_sectors(table->base->bdev),
				   table->stack->store->logical_block >> SECTOR_SHIFT);

	return fn(ti, table->base, 0, min(ti->len, most), data);
}

static void stack_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct stack_table *table = ti->private;
	struct store *store = table->stack->store;
	unsigned int chunk = store_geometry(store)->chunk_sectors
			     << SECTOR_SHIFT;
	unsigned int logical = store->logical_block;

	/* The store's device is not ours to iterate: what it needs still counts. */
	limits->logical_block_size = max(limits->logical_block_size, logical);
	limits->physical_block_size = max(limits->physical_block_size,
					  limits->logical_block_size);
	limits->io_min = max(limits->io_min, limits->logical_block_size);
	limits->dma_alignment = max_t(unsigned int, limits->dma_alignment,
				      store->dma_alignment);
	limits->discard_granularity = chunk;
	/* 4 GiB: a bound on what one bio keeps a worker busy with. */
	limits->max_discard_sectors = 1 << 23;
	limits->max_hw_discard_sectors = 1 << 23;
	if (READ_ONCE(store->stable_writes))
		compat_limit_stable_writes(limits);
}

static struct target_type stack_target = {
	.name = "cowstack",
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = stack_ctr,
	.dtr = stack_dtr,
	.map = stack_map,
	.end_io = stack_end_io,
	.presuspend = stack_presuspend,
	.presuspend_undo = stack_presuspend_undo,
	.postsuspend = stack_postsuspend,
	.preresume = stack_preresume,
	.resume = stack_resume,
	.status = stack_target_status,
	.message = stack_target_message,
	.iterate_devices = stack_iterate_devices,
	.io_hints = stack_io_hints,
};

int stack_target_register(void)
{
	return dm_register_target(&stack_target);
}

void stack_target_unregister(void)
{
	dm_unregister_target(&stack_target);
}
