// SPDX-License-Identifier: GPL-2.0
/*
 * Everything is found out, and made in memory, first.  The blocks to be written are
 * then laid over the device, and a load must find a sound store there, before the
 * first is written.  Pages and index go to blocks that nothing names; what was there
 * and the superblocks' old content go to a backup, durably, before that.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "backup.h"
#include "json.h"
#include "repair.h"
#include "salvage.h"
#include "signature.h"
#include "size.h"
#include "target_line.h"

struct repair {
	struct store_file *store;
	const struct options *options;
	const char *path;
	struct salvage salvage;
	struct block_list list;		/* superblocks last, from .home_count on */
	size_t ring_count;		/* first blocks of the journal, so many */
	size_t home_count;
	char backup[256];
	bool named;			/* by --name */
	bool written;
};

/* --- what is to be written --- */

static int add_superblock(struct repair *r,
			  const struct cowstack_superblock *superblock, u64 place)
{
	struct cowstack_reader *reader = store_file_reader(r->store);
	struct disk_superblock old, new;
	void *image;

	cowstack_superblock_encode(superblock, place, &new);
	if (!reader->read(reader, place, 1, &old) &&
	    !memcmp(&old, &new, sizeof(new)))
		return 0;
	image = block_list_add(&r->list, place);
	if (!image)
		return -ENOMEM;
	memcpy(image, &new, sizeof(new));
	return 0;
}

/*
 * A load reads all of the ring, so one block that cannot be read, be there a step in
 * it or not, keeps the store from coming up.  Written, it can be read again.
 */
static int add_unreadable(struct repair *r)
{
	const struct cowstack_geometry *g = cowstack_geometry(&r->salvage.md);
	struct cowstack_reader *reader = store_file_reader(r->store);
	u64 place = from_mblock(g->ring_start), end = place + g->ring_blocks;
	u8 block[COWSTACK_BLOCK_SIZE];
	void *image;

	for (; place < end; place++) {
		if (!reader->read(reader, place, 1, block))
			continue;
		image = block_list_add(&r->list, place);
		if (!image)
			return -ENOMEM;
		memset(image, 0, COWSTACK_BLOCK_SIZE);
		salvage_note(&r->salvage,
			     "block %llu of the journal cannot be read; it is written, with no step in it",
			     llu(place));
	}
	r->ring_count = r->list.count;
	return r->salvage.error;
}

static int plan_writes(struct repair *r)
{
	struct salvage *s = &r->salvage;
	struct cowstack_superblock superblock = s->superblock;
	int error = 0;

	if (!s->sound)
		error = add_unreadable(r);
	if (!s->sound && !error)
		error = metadata_home(&s->md, &r->list, &superblock);
	if (error)
		return error;
	r->home_count = r->list.count;
	if (!s->sound || s->rewrite_both)
		superblock.sequence = s->greatest_sequence + 1;
	error = add_superblock(r, &superblock, COWSTACK_SUPERBLOCK_A);
	if (!error)
		error = add_superblock(r, &superblock, COWSTACK_SUPERBLOCK_B);
	return error;
}

/* --- the device, with what is to be written laid over it --- */

struct overlay {
	struct cowstack_reader reader;
	const struct repair *repair;
	struct store_block *sorted;
};

static int compare_blocks(const void *a, const void *b)
{
	const struct store_block *x = a, *y = b;

	return x->place < y->place ? -1 : x->place > y->place;
}

/* Is @place to be written?  Then as it will be. */
static bool lay_over(const struct overlay *o, u64 place, void *to)
{
	const struct store_block key = { .place = place };
	const struct store_block *found;

	found = bsearch(&key, o->sorted, o->repair->list.count, sizeof(key),
			compare_blocks);
	if (found)
		memcpy(to, found->image, COWSTACK_BLOCK_SIZE);
	return found;
}

static int read_overlay(struct cowstack_reader *reader, u64 first, u64 blocks,
			void *buffer)
{
	struct overlay *o = container_of(reader, struct overlay, reader);
	struct cowstack_reader *below = store_file_reader(o->repair->store);
	int error = 0;
	u64 i;

	for (i = 0; i < blocks && !error; i++) {
		void *to = (char *)buffer + i * COWSTACK_BLOCK_SIZE;

		if (!lay_over(o, first + i, to))
			error = below->read(below, first + i, 1, to);
	}
	return error;
}

static int read_overlay_runs(struct cowstack_reader *reader,
			     const struct cowstack_run_read *runs, u32 count)
{
	struct overlay *o = container_of(reader, struct overlay, reader);
	struct cowstack_reader *below = store_file_reader(o->repair->store);
	int error = below->read_runs(below, runs, count);
	u32 i;
	u64 k;

	for (i = 0; i < count && !error; i++)
		for (k = 0; k < runs[i].blocks; k++)
			lay_over(o, runs[i].first + k,
				 (char *)runs[i].buffer + k * COWSTACK_BLOCK_SIZE);
	return error;
}

/* Would a load find a sound store? */
static enum exit_code check_plan(const struct repair *r)
{
	struct overlay o = {
		.reader = *store_file_reader(r->store), .repair = r,
	};
	size_t bytes = (r->list.count + 1) * sizeof(*o.sorted);
	struct cowstack_load_report report;
	struct cowstack_metadata md;
	int error;

	o.reader.read = read_overlay;
	o.reader.read_runs = read_overlay_runs;
	o.sorted = malloc(bytes);
	if (!o.sorted)
		return fail_errno(-ENOMEM, NULL, "%s", r->path);
	if (r->list.count)
		memcpy(o.sorted, r->list.blocks,
		       r->list.count * sizeof(*o.sorted));
	qsort(o.sorted, r->list.count, sizeof(*o.sorted), compare_blocks);
	error = cowstack_load(&md, &o.reader, &report);
	free(o.sorted);
	if (!error) {
		cowstack_metadata_exit(&md);
		return EXIT_DONE;
	}
	return fail(EXIT_DAMAGED,
		    "%s cannot be repaired: it would still be damaged (%s); nothing was written",
		    r->path, report.why ? report.why : strerror(-error));
}

/* --- saying it --- */

static bool has_losses(const struct salvage *s)
{
	return s->lost_unknown || s->lost_count;
}

static const char *volume_name(struct salvage *s, volume_id_t id)
{
	const struct cowstack_volume *volume = cowstack_volume_find(&s->md, id);

	return volume && volume->info.name[0] ? volume->info.name :
						"without a name";
}

static void print_text(struct repair *r)
{
	struct salvage *s = &r->salvage;
	size_t i;

	if (s->damage[0] && s->damage_block)
		printf("%s: damaged at block %llu: %s\n", r->path,
		       llu(s->damage_block), s->damage);
	else if (s->damage[0])
		printf("%s: damaged: %s\n", r->path, s->damage);
	else if (!r->named)
		printf("%s: one of the superblocks is bad or old\n", r->path);
	else
		printf("%s: the store has no name\n", r->path);
	for (i = 0; i < s->finding_count; i++)
		printf("  %s\n", s->findings[i]);
	for (i = 0; i < s->affected_count; i++) {
		const struct affected_range *range = &s->affected[i];

		printf("AFFECTED: volume %u, %s: ",
		       from_volume_id(range->volume),
		       volume_name(s, range->volume));
		printf("sectors %llu to %llu may show what is older, or not this volume's\n",
		       llu(range->first),
		       llu(range->first + range->sectors - 1));
	}
	if (s->lost_unknown)
		printf("AFFECTED: more may be, in any volume: what was lost is not all known\n");
	printf("to be written: ");
	if (r->ring_count)
		printf("%zu blocks of the journal, ", r->ring_count);
	printf("%zu blocks of pages and index, %zu superblocks\n",
	       r->home_count - r->ring_count, r->list.count - r->home_count);
}

static void print_affected(struct json *json, struct salvage *s)
{
	size_t i;

	json_begin_array(json, "affected");
	for (i = 0; i < s->affected_count; i++) {
		json_begin_object(json, NULL);
		json_number(json, "volume",
			    from_volume_id(s->affected[i].volume));
		json_string(json, "name", volume_name(s, s->affected[i].volume));
		json_number(json, "first_sector", s->affected[i].first);
		json_number(json, "sectors", s->affected[i].sectors);
		json_end_object(json);
	}
	json_end_array(json);
}

static void print_json(struct repair *r)
{
	struct json json = { .file = stdout };
	struct salvage *s = &r->salvage;
	size_t i;

	json_begin_object(&json, NULL);
	json_string(&json, "device", r->path);
	json_bool(&json, "clean", false);
	json_string(&json, "damage", s->damage);
	json_number(&json, "block", s->damage_block);
	json_begin_array(&json, "findings");
	for (i = 0; i < s->finding_count; i++)
		json_string(&json, NULL, s->findings[i]);
	json_end_array(&json);
	print_affected(&json, s);
	json_bool(&json, "more_may_be_affected", s->lost_unknown);
	json_number(&json, "blocks", r->list.count);
	json_bool(&json, "repaired", r->written);
	json_string(&json, "backup", r->written ? r->backup : NULL);
	json_end_object(&json);
}

/* --- doing it --- */

static enum exit_code ask(const struct repair *r)
{
	char answer[16];

	if (r->options->yes)
		return EXIT_DONE;
	if (r->options->json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return fail(EXIT_DAMAGED,
			    "%s: nothing was written; --yes repairs it so",
			    r->path);
	printf("Repair it so? A backup is made. [y/N] ");
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) &&
	    (answer[0] == 'y' || answer[0] == 'Y'))
		return EXIT_DONE;
	return fail(EXIT_DAMAGED, "%s: nothing was written", r->path);
}

static void choose_backup(struct repair *r)
{
	char uuid[LINE_UUID], date[32];
	time_t now = time(NULL);
	struct tm tm;

	store_uuid_print(r->salvage.md.superblock.uuid, uuid);
	strftime(date, sizeof(date), "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
	if (r->options->backup)
		snprintf(r->backup, sizeof(r->backup), "%s", r->options->backup);
	else
		snprintf(r->backup, sizeof(r->backup),
			 "cowstack-%.8s-%s.backup", uuid, date);
}

/* Cut off before the first superblock, the store is as damaged as it was. */
static int write_plan(const struct repair *r)
{
	int error = store_file_write(r->store, r->list.blocks, r->home_count);
	size_t i;

	if (!error)
		error = store_file_flush(r->store);
	for (i = r->home_count; i < r->list.count && !error; i++) {
		error = store_file_write(r->store, &r->list.blocks[i], 1);
		if (!error)
			error = store_file_flush(r->store);
	}
	return error;
}

static enum exit_code carry_out(struct repair *r)
{
	enum exit_code code;
	int error;

	if (r->options->backup && strlen(r->options->backup) >= sizeof(r->backup))
		return fail(EXIT_USAGE, "the name of the backup is too long");
	choose_backup(r);
	code = backup_write(r->backup, r->store, r->list.blocks, r->list.count);
	if (code)
		return code;
	error = write_plan(r);
	if (error)
		return fail_errno(error, NULL,
				  "cannot write to %s; the backup is %s",
				  r->path, r->backup);
	r->written = true;
	return EXIT_DONE;
}

static enum exit_code say_done(const struct repair *r)
{
	if (!r->options->json) {
		printf("backup: %s; dmcommit restore %s --from %s puts it back\n",
		       r->backup, r->path, r->backup);
		printf("%s: repaired%s\n", r->path,
		       has_losses(&r->salvage) ? ", but not all could be kept" :
						 "");
	}
	if (!has_losses(&r->salvage))
		return EXIT_DONE;
	return fail(EXIT_DAMAGED, "%s: what is affected needs to be looked at before it is used",
		    r->path);
}

static enum exit_code fail_to_salvage(const struct repair *r, int error)
{
	const struct salvage *s = &r->salvage;

	switch (error) {
	case -EINVAL:
		return fail(EXIT_MISSING,
			    "%s holds no store, and nothing is left of one; dmcommit restore writes one's metadata from a dump",
			    r->path);
	case -EUCLEAN:
		return fail(EXIT_DAMAGED,
			    "%s cannot be repaired: %s; nothing was written; dmcommit restore writes its metadata from a dump",
			    r->path, s->damage[0] ? s->damage :
				     s->report.why ? s->report.why :
						     "nothing is left of it");
	case -ENXIO:
		return fail(EXIT_DAMAGED,
			    "%s cannot be repaired: it has %llu sectors, and its store %llu; give it that size again, or copy it to a device that has it; nothing was written",
			    r->path, llu(store_file_sectors(r->store)),
			    llu(s->needed_sectors));
	case -E2BIG:
		return fail(EXIT_DAMAGED,
			    "%s cannot be repaired: a chain has more than 250 layers; nothing was written",
			    r->path);
	case -ENOSPC:
		return fail(EXIT_DAMAGED,
			    "%s cannot be repaired: no room is left to write its metadata anew; nothing was written",
			    r->path);
	default:
		return fail_errno(error, s->report.why, "cannot repair %s",
				  r->path);
	}
}

/* What another has written there tells that it is no store any more. */
static enum exit_code check_signature(const struct repair *r)
{
	char found[128];
	int result = signature_find(store_file_device(r->store)->fd, found,
				    sizeof(found));

	if (result < 0)
		return fail_errno(result, NULL, "cannot look at %s", r->path);
	if (result > 0)
		return fail(EXIT_REFUSED,
			    "%s holds no superblock of a store, but something else (%s); wipefs lets a store be looked for behind it",
			    r->path, found);
	return EXIT_DONE;
}

/* Of a store that has none: its name went with its superblocks. */
static enum exit_code give_name(struct repair *r)
{
	char *known = r->salvage.md.superblock.name;
	const char *name = r->options->name;

	if (!name || !strcmp(known, name))
		return EXIT_DONE;
	if (known[0])
		return fail(EXIT_REFUSED,
			    "%s: the store's name is %s; --name is for one whose name is lost; nothing was written",
			    r->path, known);
	snprintf(known, COWSTACK_NAME_SIZE, "%s", name);
	/* As it is on disk, for where all but that is kept. */
	memcpy(r->salvage.superblock.name, known, COWSTACK_NAME_SIZE);
	r->salvage.rewrite_both = true;
	r->named = true;
	salvage_note(&r->salvage, "the store, which has no name, is called %s", name);
	return EXIT_DONE;
}

static enum exit_code run(struct repair *r, bool *nothing)
{
	enum exit_code code = EXIT_DONE;
	int error = salvage_load(&r->salvage, store_file_reader(r->store));

	if (r->salvage.no_superblock) {
		code = check_signature(r);
		if (code)
			return code;
		error = salvage_superblock(&r->salvage);
	}
	if (!error) {
		code = give_name(r);
		if (code)
			return code;
		error = plan_writes(r);
	}
	*nothing = !error && !r->list.count;
	if (!error && !*nothing && r->salvage.md.superblock.ro_compat &
					   ~COWSTACK_FEATURES_RO_COMPAT) {
		error = -EOPNOTSUPP;
		r->salvage.report.why =
			"a feature is not known to this version, which may not write such a store";
	}
	if (error)
		return fail_to_salvage(r, error);
	if (*nothing)
		return EXIT_DONE;
	code = check_plan(r);
	if (code)
		return code;
	if (!r->options->json)
		print_text(r);
	code = ask(r);
	if (!code)
		code = carry_out(r);
	if (r->options->json)
		print_json(r);
	return code ? code : say_done(r);
}

enum exit_code repair_store(struct store_file *store,
			    const struct options *options, bool *nothing)
{
	struct repair *r = calloc(1, sizeof(*r));
	enum exit_code code;

	*nothing = false;
	if (!r)
		return fail_errno(-ENOMEM, NULL, "%s", options->arguments[0]);
	r->store = store;
	r->options = options;
	r->path = options->arguments[0];
	code = run(r, nothing);
	block_list_exit(&r->list);
	salvage_exit(&r->salvage);
	free(r);
	return code;
}
