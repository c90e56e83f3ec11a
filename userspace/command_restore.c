// SPDX-License-Identifier: GPL-2.0
#include "backup.h"
#include "commands.h"
#include "dump.h"
#include "metadata_home.h"
#include "signature.h"

struct restore {
	const char *path;		/* of the device */
	const char *from;
	bool force;
	struct store_file *store;
	struct cowstack_metadata md;
};

/* What may be there: nothing at all, or what is left of this very store. */
static enum exit_code check_store(const struct restore *restore)
{
	struct cowstack_load_report report;
	struct cowstack_superblock there;
	struct cowstack_metadata md;
	const char *why;
	int error = store_file_superblock(restore->store, &there, &why);

	if (error == -EINVAL)
		return EXIT_DONE;
	if (error)
		return error == -EUCLEAN || error == -EOPNOTSUPP ?
			fail(EXIT_REFUSED,
			     "%s holds a store (%s), which may be another; --force overwrites it",
			     restore->path, why) :
			fail_errno(error, why, "%s", restore->path);
	if (memcmp(there.uuid, restore->md.superblock.uuid,
		   sizeof(there.uuid)))
		return fail(EXIT_REFUSED,
			    "%s holds another store, %s; --force overwrites it",
			    restore->path,
			    there.name[0] ? there.name : "without a name");
	if (cowstack_load(&md, store_file_reader(restore->store), &report))
		return EXIT_DONE;
	cowstack_metadata_exit(&md);
	return fail(EXIT_REFUSED,
		    "%s holds this store, and it is sound: what came after the dump would be lost; --force overwrites it",
		    restore->path);
}

static enum exit_code check_device(const struct restore *restore)
{
	char found[128];
	int result;

	if (restore->force)
		return EXIT_DONE;
	result = signature_find(store_file_device(restore->store)->fd, found,
				sizeof(found));
	if (result < 0)
		return fail_errno(result, NULL, "cannot look at %s",
				  restore->path);
	if (result > 0)
		return fail(EXIT_REFUSED,
			    "%s holds something (%s); --force overwrites it",
			    restore->path, found);
	return check_store(restore);
}

static enum exit_code fail_to_read(const struct restore *restore, int error,
				   const struct dump_error *found)
{
	if (error == -ENOSPC)
		return fail(EXIT_FAILED,
			    "%s is too small for the store of %s; give a larger device",
			    restore->path, restore->from);
	if (error != -EINVAL)
		return fail_errno(error, NULL, "%s", restore->from);
	if (found->line)
		return fail(EXIT_FAILED, "%s, line %llu: %s; nothing was changed",
			    restore->from, (unsigned long long)found->line,
			    found->why);
	return fail(EXIT_FAILED, "%s: %s; nothing was changed", restore->from,
		    found->why);
}

/*
 * The old superblocks go first and the new ones come last: cut off in between it
 * is no store, and can be restored again.
 */
static int write_metadata(struct restore *restore,
			  const struct block_list *list,
			  const struct cowstack_superblock *superblock)
{
	int error = 0;

	if (restore->force)
		error = signature_wipe(store_file_device(restore->store)->fd);
	if (!error)
		error = store_file_clear(restore->store,
					 &superblock->geometry);
	if (!error)
		error = store_file_write(restore->store, list->blocks,
					 list->count);
	if (!error)
		error = store_file_flush(restore->store);
	if (!error)
		error = store_file_write_superblocks(restore->store, superblock);
	return error;
}

static enum exit_code write_store(struct restore *restore)
{
	struct cowstack_superblock superblock;
	struct block_list list = { };
	enum exit_code code = EXIT_DONE;
	int error = metadata_home(&restore->md, &list, &superblock);

	if (error)
		code = fail_errno(error, error == -ENOSPC ?
				  "no room for the metadata beside the data" :
				  NULL, "%s", restore->path);
	else
		error = write_metadata(restore, &list, &superblock);
	if (error && !code)
		code = fail_errno(error, NULL, "cannot write to %s",
				  restore->path);
	block_list_exit(&list);
	return code;
}

static enum exit_code restore_dump(struct restore *restore,
				   struct text_file *file)
{
	struct dump_error found;
	enum exit_code code;
	int error = dump_read(file, store_file_reader(restore->store),
			      &restore->md, &found);

	if (error)
		return fail_to_read(restore, error, &found);
	code = check_device(restore);
	if (!code)
		code = write_store(restore);
	cowstack_metadata_exit(&restore->md);
	return code;
}

static enum exit_code restore_file(struct restore *restore,
				   struct text_file *file)
{
	char line[64];

	if (text_file_get(file, line, sizeof(line)) != 1)
		line[0] = '\0';
	if (!strcmp(line, DUMP_HEAD))
		return restore_dump(restore, file);
	if (!strcmp(line, BACKUP_HEAD))
		return backup_restore(file, restore->from, restore->store,
				      restore->force);
	return fail(EXIT_FAILED, "%s, line 1: this is no dump, and no backup; nothing was changed",
		    restore->from);
}

enum exit_code command_restore(const struct options *options)
{
	struct restore restore = {
		.path = options->arguments[0], .from = options->from,
		.force = options->force,
	};
	struct text_file *file;
	enum exit_code code = store_file_open(&restore.store, restore.path,
					      DEVICE_WRITE);

	if (code)
		return code;
	code = text_file_open(&file, restore.from);
	if (!code) {
		code = restore_file(&restore, file);
		text_file_close(file);
	}
	store_file_close(restore.store);
	return code;
}
