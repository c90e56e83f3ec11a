// SPDX-License-Identifier: GPL-2.0
#include <linux/random.h>

#include "error_text.h"
#include "core/load.h"
#include "stack.h"

/* Protects the registry: stores, their stacks, who uses which base. */
DEFINE_MUTEX(stores_mutex);
LIST_HEAD(stores);

struct store *store_find(struct mapped_device *md)
{
	struct store *store;

	list_for_each_entry(store, &stores, list)
		if (store->md == md)
			return store;
	return NULL;
}

static bool lies_on(const struct store *store, dev_t device)
{
	const struct store_table *table;

	list_for_each_entry(table, &store->tables, list)
		if (table->dev->bdev->bd_dev == device)
			return true;
	/* One that is being loaded, or has lost its tables, has none. */
	return store->device == device;
}

struct store *store_find_device(dev_t device)
{
	struct store *store;

	list_for_each_entry(store, &stores, list)
		if (lies_on(store, device))
			return store;
	return NULL;
}

void copy_device_name(struct mapped_device *md, char name[DM_NAME_LEN])
{
	if (dm_copy_name_and_uuid(md, name, NULL))
		strscpy(name, dm_device_name(md), DM_NAME_LEN);
}

/* --- loading --- */

struct device_reader {
	struct cowstack_reader reader;
	struct store *store;
	struct block_device *bdev;
};

static int read_device(struct cowstack_reader *reader, u64 first, u64 blocks,
		       void *buffer)
{
	struct device_reader *r = container_of(reader, struct device_reader,
					       reader);

	/* Range-checked here once more, whatever the caller believes. */
	if (first > reader->device_sectors / COWSTACK_BLOCK_SECTORS ||
	    blocks > reader->device_sectors / COWSTACK_BLOCK_SECTORS - first)
		return -EUCLEAN;
	return block_io(r->store, r->bdev, REQ_OP_READ | REQ_META,
			first * COWSTACK_BLOCK_SECTORS, buffer,
			blocks * COWSTACK_BLOCK_SIZE);
}

/* A map may take half of the machine's memory. */
static u64 most_pages(void)
{
	return (u64)totalram_pages() * PAGE_SIZE / 2 /
	       (COWSTACK_BLOCK_SIZE + sizeof(struct map_page) +
		COWSTACK_PAGE_CHUNKS);
}

static int load_store(struct store *store, struct block_device *bdev,
		      char **error_text)
{
	struct device_reader r = {
		.reader.read = read_device,
		.reader.device_sectors = bdev_nr_sectors(bdev),
		.reader.max_pages = most_pages(),
		.store = store,
		.bdev = bdev,
	};
	struct cowstack_load_report report;
	int error = cowstack_load(&store->metadata, &r.reader, &report);

	/* This module writes: a feature that only readers may pass over counts. */
	if (!error && store->metadata.superblock.ro_compat &
			      ~COWSTACK_FEATURES_RO_COMPAT) {
		report.why = "a feature is not known that writers must know";
		error = -EOPNOTSUPP;
	}
	if (error) {
		*error_text = error_text_make("%pg: %s (block %llu)", bdev,
					      report.why ? report.why :
					      error == -ENOMEM ?
							   "no memory" :
							   "cannot be read",
					      report.where);
		return error;
	}
	store->mend_superblock = report.other_superblock;
	store->mend_place = report.other_place;
	if (report.other_superblock)
		pr_warn("cowstack %s: one superblock of %pg is damaged or old: it is written anew at resume\n",
			store->name, bdev);
	get_random_bytes(&store->metadata.nonce,
			 sizeof(store->metadata.nonce));
	pr_info("cowstack %s: %llu steps replayed, %llu map pages, %llu chunks known\n",
		store->name, report.steps, report.pages, report.words);
	return 0;
}

static void init_store(struct store *store, struct mapped_device *md,
		       struct block_device *bdev)
{
	store->users = 1;
	store->md = md;
	store->device = bdev->bd_dev;
	store->bdev = bdev;
	store->logical_block = bdev_logical_block_size(bdev);
	store->dma_alignment = bdev_dma_alignment(bdev);
	store->stable_writes = bdev_stable_writes(bdev);
	store->suspended = true;
	copy_device_name(md, store->name);
	INIT_LIST_HEAD(&store->list);
	INIT_LIST_HEAD(&store->tables);
	INIT_LIST_HEAD(&store->stacks);
	spin_lock_init(&store->mode_lock);
	mutex_init(&store->message_mutex);
	mutex_init(&store->metadata_lock);
	store_event_init(store);
}

static void stop_threads(struct store *store)
{
	defer_exit(store);
	reclaim_exit(store);
	checkpoint_exit(store);
	journal_exit(store);
}

/* Its threads have been stopped. */
static void free_store(struct store *store)
{
	cowstack_metadata_exit(&store->metadata);
	bioset_exit(&store->copy_bios);
	bioset_exit(&store->bios);
	kfree(store);
}

static int start_threads(struct store *store)
{
	int error = journal_init(store);

	if (!error)
		error = checkpoint_init(store);
	if (!error)
		error = reclaim_init(store);
	if (!error)
		error = defer_init(store);
	return error;
}

int store_write_superblock(struct store *store, const struct cowstack_superblock *sb,
			   u64 place, struct disk_superblock *block)
{
	blk_opf_t fua = flush_stands_for_fua(store) ? 0 : REQ_FUA;
	int error;

	cowstack_superblock_encode(sb, place, block);
	error = block_io(store, store->bdev, REQ_OP_WRITE | REQ_META | fua,
			 place * COWSTACK_BLOCK_SECTORS, block, sizeof(*block));
	return error || fua ? error : flush_device(store);
}

/* The first write to a store; see other_place in core/load.h. */
int store_mend_superblock(struct store *store)
{
	struct disk_superblock *block;
	int error;

	if (!store->mend_superblock)
		return 0;
	block = kmalloc(sizeof(*block), GFP_KERNEL);
	if (!block)
		return -ENOMEM;
	error = store_write_superblock(store, &store->metadata.superblock,
				       store->mend_place, block);
	kfree(block);
	if (!error)
		store->mend_superblock = false;
	return error;
}

static int load_and_start(struct store *store, struct block_device *bdev,
			  char **error_text)
{
	int error = load_store(store, bdev, error_text);

	if (error)
		return error;
	error = start_threads(store);
	if (error)
		*error_text = "no memory for a store's threads";
	return error;
}

struct store *store_open(struct mapped_device *md, struct block_device *bdev,
			 char **error_text)
{
	struct store *store = kzalloc(sizeof(*store), GFP_KERNEL);
	int error;

	lockdep_assert_held(&stores_mutex);
	*error_text = "no memory for a store";
	if (!store)
		return ERR_PTR(-ENOMEM);
	init_store(store, md, bdev);
	error = bioset_init(&store->bios, 64, 0, BIOSET_NEED_BVECS);
	if (!error)
		error = bioset_init(&store->copy_bios, 16, 0,
				    BIOSET_NEED_BVECS);
	if (error) {
		bioset_exit(&store->bios);
		kfree(store);
		return ERR_PTR(error);
	}
	store->loading = true;
	list_add_tail(&store->list, &stores);
	mutex_unlock(&stores_mutex);
	error = load_and_start(store, bdev, error_text);
	mutex_lock(&stores_mutex);
	store->loading = false;
	if (!error)
		return store;
	list_del(&store->list);
	stop_threads(store);
	free_store(store);
	return ERR_PTR(error);
}

static int read_superblock(struct store *store, struct block_device *bdev,
			   u64 place, struct disk_superblock *block,
			   struct cowstack_superblock *sb)
{
	const char *why;
	int error = block_io(store, bdev, REQ_OP_READ | REQ_META,
			     place * COWSTACK_BLOCK_SECTORS, block,
			     COWSTACK_BLOCK_SIZE);

	return error ? error :
		       cowstack_superblock_decode(sb, block, place,
						  bdev_nr_sectors(bdev), &why);
}

/* The newer of both.  One may be damaged, or be written right now. */
static int read_newest_superblock(struct store *store, struct block_device *bdev,
				  struct disk_superblock *block,
				  struct cowstack_superblock *sb)
{
	struct cowstack_superblock other;
	int error = read_superblock(store, bdev, COWSTACK_SUPERBLOCK_A, block, sb);

	if (read_superblock(store, bdev, COWSTACK_SUPERBLOCK_B, block, &other))
		return error;
	if (error || other.sequence > sb->sequence)
		*sb = other;
	return 0;
}

static int check_same_store(struct store *store, struct block_device *bdev,
			    const struct cowstack_superblock *sb)
{
	if (memcmp(sb->uuid, store->metadata.superblock.uuid, sizeof(sb->uuid)))
		return -ESTALE;
	/* It may have grown since its superblock was written. */
	if (cowstack_geometry_chunks(store_geometry(store),
				     bdev_nr_sectors(bdev)) <
	    store_geometry(store)->chunks)
		return -ENOSPC;
	return 0;
}

static int check_last_step(struct store *store, struct block_device *bdev,
			   struct disk_record_block *block)
{
	const struct cowstack_metadata *md = &store->metadata;
	int error;

	if (cowstack_step_none_since_tail(md))
		return 0;
	error = block_io(store, bdev, REQ_OP_READ | REQ_META,
			 from_mblock(cowstack_step_last_place(md)) *
				 COWSTACK_BLOCK_SECTORS,
			 block, COWSTACK_BLOCK_SIZE);
	return error ? error : cowstack_step_is_last(md, block) ? 0 : -ENODATA;
}

int store_check_device(struct store *store, struct block_device *bdev,
		       bool current_copy)
{
	void *block = kmalloc(COWSTACK_BLOCK_SIZE, GFP_KERNEL);
	struct cowstack_superblock sb;
	int error;

	if (!block)
		return -ENOMEM;
	error = read_newest_superblock(store, bdev, block, &sb);
	if (!error)
		error = check_same_store(store, bdev, &sb);
	if (!error && current_copy)
		error = sb.sequence < store->metadata.superblock.sequence ?
				-ENODATA : check_last_step(store, bdev, block);
	kfree(block);
	return error;
}

void store_put(struct store *store)
{
	bool last;

	mutex_lock(&stores_mutex);
	last = !--store->users;
	if (last)
		list_del(&store->list);
	mutex_unlock(&stores_mutex);
	if (!last)
		return;
	stop_threads(store);
	/*
	 * What any of them had to tell at last; this work takes the mutex and looks at
	 * the store.
	 */
	cancel_work_sync(&store->event_work);
	free_store(store);
}
