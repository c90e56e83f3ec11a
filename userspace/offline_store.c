// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <sys/random.h>

#include "offline_store.h"

static int make_buffers(struct offline_store *store)
{
	u32 count = store->md.max_step_blocks, i;

	store->step_blocks = calloc(count, sizeof(*store->step_blocks));
	for (i = 0; store->step_blocks && i < count; i++) {
		store->step_blocks[i] = block_list_add(&store->blocks, 0);
		if (!store->step_blocks[i])
			return -ENOMEM;
	}
	return store->step_blocks ? 0 : -ENOMEM;
}

enum exit_code offline_store_open(struct offline_store *store, const char *path)
{
	struct cowstack_load_report report;
	enum exit_code code;

	memset(store, 0, sizeof(*store));
	code = store_file_open(&store->file, path, DEVICE_WRITE);
	if (code)
		return code;
	code = store_file_load(store->file, &store->md, &report);
	if (code) {
		store_file_close(store->file);
		return code;
	}
	if (store->md.superblock.ro_compat & ~COWSTACK_FEATURES_RO_COMPAT)
		code = fail_errno(-EOPNOTSUPP,
				  "a feature is not known to this version",
				  "%s", path);
	else if (getrandom(&store->md.nonce, sizeof(store->md.nonce), 0) !=
		 sizeof(store->md.nonce))
		code = fail_errno(-EIO, NULL, "cannot draw a number");
	else if (make_buffers(store))
		code = fail_errno(-ENOMEM, NULL, "%s", path);
	if (code)
		offline_store_close(store);
	return code;
}

void offline_store_close(struct offline_store *store)
{
	cowstack_metadata_exit(&store->md);
	store_file_close(store->file);
	block_list_exit(&store->blocks);
	free(store->step_blocks);
}

int offline_store_begin(struct offline_store *store)
{
	/* With flushes, which make the last step durable that was loaded. */
	return store_file_write_superblocks(store->file, &store->md.superblock);
}

/* --- steps --- */

/* Data that the words name is durable before them, and the step when this ends. */
static int write_step(struct offline_store *store)
{
	struct cowstack_step *step = &store->step;
	int error = store_file_flush(store->file);
	u32 i;

	for (i = 0; i < step->blocks; i++)
		store->blocks.blocks[i].place =
			from_mblock(cowstack_step_place(&store->md, step, i));
	if (!error)
		error = store_file_write(store->file, store->blocks.blocks,
					 step->blocks);
	return error ? error : store_file_flush(store->file);
}

/* Nobody reads what came free: it is, as soon as the step says so. */
static void release_chunks(struct offline_store *store)
{
	struct list_head runs;

	INIT_LIST_HEAD(&runs);
	while (cowstack_zombies_free_chunks(&store->md))
		;
	cowstack_allocator_take_durable(&store->md.allocator, &runs);
	cowstack_allocator_release(&store->md.allocator, &runs);
}

static int run_step(struct offline_store *store, struct cowstack_transaction *t,
		    bool *added)
{
	struct cowstack_metadata *md = &store->md;
	struct list_head applied;
	int error = 0;

	INIT_LIST_HEAD(&applied);
	cowstack_step_begin(md, &store->step, store->step_blocks);
	cowstack_step_collect(md, &store->step);
	*added = t && cowstack_step_add(&store->step, t);
	cowstack_step_seal(md, &store->step);
	if (store->step.blocks)
		error = write_step(store);
	if (error)
		return error;
	cowstack_step_finish(md, &store->step, &applied);
	release_chunks(store);
	return 0;
}

int offline_store_change(struct offline_store *store,
			 struct cowstack_change *change)
{
	bool added = false;
	int error = store->failed;

	INIT_LIST_HEAD(&change->transaction.list);
	while (!added && !error) {
		if (cowstack_ring_wants_checkpoint(&store->md))
			error = offline_store_checkpoint(store);
		if (!error)
			error = run_step(store, &change->transaction, &added);
	}
	store->failed = error;
	/* No lookup runs beside. */
	cowstack_change_free(change);
	return error;
}

/* --- checkpoints --- */

static int write_pages(struct offline_store *store,
		       struct cowstack_checkpoint *cp)
{
	struct block_list list = { };
	int error = checkpoint_collect(&store->md, cp, &list);

	if (!error)
		error = store_file_write(store->file, list.blocks, list.count);
	block_list_exit(&list);
	return error ? error : store_file_flush(store->file);
}

int offline_store_checkpoint(struct offline_store *store)
{
	struct cowstack_metadata *md = &store->md;
	struct cowstack_checkpoint cp;
	int error = cowstack_checkpoint_begin(md, &cp);

	if (error)
		return error;
	error = write_pages(store, &cp);
	if (!error) {
		cowstack_checkpoint_superblock(md, &cp);
		/* A crash between the two leaves one that leads to all there is. */
		error = store_file_write_superblocks(store->file,
						     &cp.superblock);
	}
	if (!error)
		cowstack_checkpoint_end(md, &cp);
	cowstack_checkpoint_free(&cp);
	if (!error)
		release_chunks(store);
	return error;
}
