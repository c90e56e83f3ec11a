// SPDX-License-Identifier: GPL-2.0
/*
 * The target "cowstore": control and status of a store.
 *
 *   0 <sectors> cowstore <store dev> [<#feature words> <word>…]
 */
#include <linux/sched/mm.h>

#include "error_text.h"
#include "job.h"
#include "stack.h"

/* From here on @table's device is the store's, though not yet used.  stores_mutex held. */
static void enter_store(struct store_table *table, struct store *store)
{
	table->store = store;
	list_add_tail(&table->list, &store->tables);
}

/* And gives back the table's hold.  May sleep. */
static void leave_store(struct store_table *table)
{
	mutex_lock(&stores_mutex);
	list_del(&table->list);
	mutex_unlock(&stores_mutex);
	store_put(table->store);
}

/*
 * The device of an object that is there already must hold the same store.
 * stores_mutex is let go while it is read.
 */
static int hand_over(struct dm_target *ti, struct store *store,
		     struct store_table *table)
{
	struct block_device *bdev = table->dev->bdev;
	struct store *other = store_find_device(bdev->bd_dev);
	bool now;
	int error;

	if (store->loading) {
		ti->error = "another table of this cowstore is being loaded";
		return -EBUSY;
	}
	if (other != store && (other || base_is_in_use(bdev))) {
		ti->error = error_text_make("%pg is another store, or a stack's base",
					    bdev);
		return -EBUSY;
	}
	if (bdev_logical_block_size(bdev) > store->logical_block) {
		ti->error = error_text_make("%pg has larger logical blocks than the store's",
					    bdev);
		return -EINVAL;
	}
	if (bdev_dma_alignment(bdev) > store->dma_alignment) {
		ti->error = error_text_make("%pg wants memory aligned to more than the store's",
					    bdev);
		return -EINVAL;
	}
	store->users++;
	enter_store(table, store);
	mutex_unlock(&stores_mutex);
	/* A copy of a store at work cannot be up to date: preresume asks again. */
	now = READ_ONCE(store->suspended) && bdev != READ_ONCE(store->bdev);
	error = store_check_device(store, bdev, now);
	if (error) {
		ti->error = error == -ENODATA ?
				    error_text_make("%pg has the store as it was: copy again",
						    bdev) :
			    error == -ESTALE ?
				    "device holds another store than this cowstore's" :
			    error == -ENOSPC ?
				    "device is smaller than this cowstore's store" :
				    "device does not hold this cowstore's store";
		leave_store(table);
	}
	mutex_lock(&stores_mutex);
	return error == -ESTALE ? -EINVAL : error;
}

static int find_or_open(struct dm_target *ti, struct store_table *table)
{
	struct mapped_device *md = dm_table_get_md(ti->table);
	struct block_device *bdev = table->dev->bdev;
	struct store *store = store_find(md);

	if (store)
		return hand_over(ti, store, table);
	store = store_find_device(bdev->bd_dev);
	if (store) {
		ti->error = error_text_make("%pg is the store of %s already",
					    bdev, store->name);
		return -EBUSY;
	}
	if (base_is_in_use(bdev)) {
		ti->error = error_text_make("%pg is a stack's base", bdev);
		return -EBUSY;
	}
	store = store_open(md, bdev, &ti->error);
	if (IS_ERR(store))
		return PTR_ERR(store);
	enter_store(table, store);
	return 0;
}

static int get_store_device(struct dm_target *ti, const char *path,
			    struct store_table *table)
{
	int error = dm_get_device(ti, path, dm_table_get_mode(ti->table),
				  &table->dev);

	if (error) {
		ti->error = error_text_make("cannot open store device %s",
					    path);
		return error;
	}
	if (bdev_read_only(table->dev->bdev)) {
		ti->error = error_text_make("store device %s is read-only",
					    path);
		error = -EROFS;
	} else if (bdev_is_zoned(table->dev->bdev)) {
		ti->error = error_text_make("store device %s is zoned", path);
		error = -EINVAL;
	} else if (bdev_logical_block_size(table->dev->bdev) >
		   COWSTACK_BLOCK_SIZE) {
		/* Its metadata is written in blocks of that size. */
		ti->error = error_text_make("store device %s has blocks of more than %u bytes",
					    path, COWSTACK_BLOCK_SIZE);
		error = -EINVAL;
	} else if (ti->begin ||
		   ti->len > bdev_nr_sectors(table->dev->bdev)) {
		ti->error = error_text_make("table must start at 0 and be no longer than %s",
					    path);
		error = -EINVAL;
	}
	if (error)
		dm_put_device(ti, table->dev);
	else	/* As of a base, see base_check(): here it would come down on metadata. */
		sync_blockdev(table->dev->bdev);
	return error;
}

static int store_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct store_table *table;
	struct store_line line;
	struct refusal refusal;
	unsigned int noio;
	int error;

	error = store_line_parse(argc, argv, &line, &refusal);
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
	error = get_store_device(ti, line.device, table);
	if (error)
		goto free;
	noio = memalloc_noio_save();
	mutex_lock(&stores_mutex);
	error = find_or_open(ti, table);
	mutex_unlock(&stores_mutex);
	memalloc_noio_restore(noio);
	if (error)
		goto put_device;
	ti->private = table;
	return 0;

put_device:
	dm_put_device(ti, table->dev);
free:
	kfree(table);
	return error;
}

/* Whoever waits for anything of the store gets an error. */
static void fail_store(struct store *store)
{
	store_set_fail(store, "table is gone");
	journal_fail(store);
	defer_admit_held(store);
	defer_admit_postponed(store);
	defer_admit_parked(store);
}

static void store_dtr(struct dm_target *ti)
{
	struct store_table *table = ti->private;
	struct store *store = table->store;

	bool orphaned = false;

	mutex_lock(&stores_mutex);
	if (store->target == ti) {
		/* The live table goes without another of ours in its place. */
		store->target = NULL;
		store->active = false;
		orphaned = !list_empty(&store->stacks);
	}
	mutex_unlock(&stores_mutex);
	if (orphaned)
		fail_store(store);
	leave_store(table);
	dm_put_device(ti, table->dev);
	kfree(table);
}

static int store_map(struct dm_target *ti, struct bio *bio)
{
	/* Control and status only. */
	return DM_MAPIO_KILL;
}

/*
 * What users wait for is finished, nothing new begins, and no bio of ours is on
 * the device any more.  May run twice.
 */
static void store_postsuspend(struct dm_target *ti)
{
	struct store_table *table = ti->private;
	struct store *store = table->store;

	if (READ_ONCE(store->target) != ti || READ_ONCE(store->suspended))
		return;
	mutex_lock(&store->message_mutex);
	jobs_park(store);
	WRITE_ONCE(store->suspended, true);
	mutex_unlock(&store->message_mutex);
	/* Pairs with io_enter_drain(): later bios see the flag. */
	synchronize_srcu_expedited(&store->drain);
	/* One that is ro may have taken writes in place. */
	if (READ_ONCE(store->mode) != STORE_FAIL)
		journal_flush(store);
	journal_stop(store);
	reclaim_wait(store);
	checkpoint_wait(store);
}

/*
 * The constructor may have seen it while the store was at work.  What memory knows is
 * right for the store as it was suspended, not for an older copy of it.
 */
static int check_other_device(struct store *store, struct block_device *bdev)
{
	int error = bdev == store->bdev ? 0 :
					  store_check_device(store, bdev, true);

	if (error)
		pr_err("cowstack %s: %pg does not hold the store as it was suspended (error %d): copy it again\n",
		       store->name, bdev, error);
	return error;
}

/*
 * What was loaded may lie in a cache of the device alone, if the machine stopped and its
 * disks did not.  What came free by the last step is not to be written before that is
 * durable: a power cut could bring the step before it back.
 */
static void make_loaded_durable(struct store *store)
{
	int error = store_is_rw(store) ? flush_device(store) : 0;

	if (error)
		store_set_ro(store, "device cannot be flushed", error);
}

static int go_live(struct dm_target *ti, struct store_table *table)
{
	struct store *store = table->store;
	int error;

	error = check_other_device(store, table->dev->bdev);
	if (error)
		return error;
	/* Suspended: nobody uses the device now. */
	mutex_lock(&stores_mutex);
	copy_device_name(store->md, store->name);	/* it may be renamed */
	store->bdev = table->dev->bdev;
	store->device = table->dev->bdev->bd_dev;
	WRITE_ONCE(store->stable_writes, bdev_stable_writes(store->bdev));
	mutex_unlock(&stores_mutex);
	make_loaded_durable(store);
	error = store_is_rw(store) ? store_mend_superblock(store) : 0;
	if (error) {
		pr_err("cowstack %s: superblock cannot be written: error %d\n",
		       store->name, error);
		return error;
	}
	mutex_lock(&stores_mutex);
	store->features = table->features;
	WRITE_ONCE(store->target, ti);
	store->active = true;
	mutex_unlock(&stores_mutex);
	/* What was raised above may have found no table to raise it on. */
	if (!store_is_rw(store))
		store_event(store);
	return 0;
}

static int store_preresume(struct dm_target *ti)
{
	/* Stacks' bios are held until this has ended: memory must not wait for any of them. */
	unsigned int noio = memalloc_noio_save();
	int error = go_live(ti, ti->private);

	memalloc_noio_restore(noio);
	return error;
}

static void store_resume(struct dm_target *ti)
{
	struct store_table *table = ti->private;
	struct store *store = table->store;
	unsigned int noio;

	journal_start(store);
	/* What a load found gone is forgotten, though nobody may be able to write. */
	if (store_is_rw(store))
		journal_kick(store);
	noio = memalloc_noio_save();
	mutex_lock(&store->message_mutex);
	/* Pairs with io_enter_drain(). */
	smp_store_release(&store->suspended, false);
	defer_admit_held(store);
	jobs_resume(store);
	mutex_unlock(&store->message_mutex);
	memalloc_noio_restore(noio);
	reclaim_kick(store);
}

static void store_target_status(struct dm_target *ti, status_type_t type,
				unsigned int flags, char *result,
				unsigned int maxlen)
{
	struct store_table *table = ti->private;
	size_t sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		store_status(table->store, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s", table->dev->name);
		features_print(&store_feature_table, &table->features, result,
			       sz, maxlen);
		break;
	case STATUSTYPE_IMA:
		DMEMIT_TARGET_NAME_VERSION(ti->type);
		DMEMIT(",store_device=%s,uuid=%pUb;", table->dev->name,
		       table->store->metadata.superblock.uuid);
		break;
	}
}

static int store_target_message(struct dm_target *ti, unsigned int argc,
				char **argv, char *result, unsigned int maxlen)
{
	struct store_table *table = ti->private;
	struct refusal refusal;
	int error;

	if (!strcmp(argv[0], "set") && argc != 3) {
		pr_err("cowstack %s: set: wants a feature and a value\n",
		       table->store->name);
		return -EINVAL;
	}
	if (!strcmp(argv[0], "set")) {
		mutex_lock(&stores_mutex);
		error = features_set(&store_feature_table, &table->features,
				     argv[1], argv[2], &refusal);
		if (error)
			pr_err("cowstack %s: set: %s\n", table->store->name,
			       refusal.text);
		else
			table->store->features = table->features;
		mutex_unlock(&stores_mutex);
		if (!error)
			defer_admit_parked(table->store);
		return error;
	}
	return store_message(table->store, argc, argv, result, maxlen);
}

static int store_iterate_devices(struct dm_target *ti,
				 iterate_devices_callout_fn fn, void *data)
{
	struct store_table *table = ti->private;

	return fn(ti, table->dev, 0, ti->len, data);
}

static struct target_type store_target = {
	.name = "cowstore",
	.features = DM_TARGET_SINGLETON | DM_TARGET_ALWAYS_WRITEABLE,
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = store_ctr,
	.dtr = store_dtr,
	.map = store_map,
	.postsuspend = store_postsuspend,
	.preresume = store_preresume,
	.resume = store_resume,
	.status = store_target_status,
	.message = store_target_message,
	.iterate_devices = store_iterate_devices,
};

int store_target_register(void)
{
	return dm_register_target(&store_target);
}

void store_target_unregister(void)
{
	dm_unregister_target(&store_target);
}
