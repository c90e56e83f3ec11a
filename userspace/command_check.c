// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "base_alone.h"
#include "commands.h"
#include "json.h"
#include "name_check.h"
#include "repair.h"
#include "size.h"
#include "store_file.h"
#include "target_line.h"
#include "core/metadata.h"

struct finding {
	const char *path;
	int error;			/* 0: it is a whole store */
	struct cowstack_load_report report;
	struct cowstack_metadata md;	/* only without error */
};

static u64 count_list(const struct list_head *head)
{
	const struct list_head *item;
	u64 count = 0;

	for (item = head->next; item != head; item = item->next)
		count++;
	return count;
}

static u64 to_bytes(const struct finding *finding, u64 chunks)
{
	return chunks << cowstack_geometry(&finding->md)->chunk_shift
		      << COWSTACK_SECTOR_SHIFT;
}

static u64 count_used(const struct finding *finding)
{
	return finding->md.allocator.chunks - finding->md.allocator.free;
}

static const char *base_alone_of(const struct cowstack_volume_info *info)
{
	if (from_layer_id(info->mixed_top))
		return "mixed";
	return info->base_time ? "valid" : "unknown";
}

/* One that was running goes on when the volume is up again. */
static enum base_job base_job_of(const struct cowstack_volume_info *info)
{
	const struct cowstack_job *job = &info->job;

	if (job->kind != COWSTACK_JOB_COMMIT || from_layer_id(job->base))
		return BASE_JOB_NONE;
	if (job->state == COWSTACK_JOB_RUNNING ||
	    job->state == COWSTACK_JOB_QUEUED)
		return BASE_JOB_CUT_OFF;
	return job->state == COWSTACK_JOB_PAUSED ||
	       job->state == COWSTACK_JOB_STOPPED ? BASE_JOB_WAITING :
						    BASE_JOB_NONE;
}

static void print_volume_json(struct json *json,
			      const struct cowstack_volume *volume)
{
	const struct cowstack_volume_info *info = &volume->info;

	json_begin_object(json, NULL);
	json_number(json, "id", from_volume_id(info->id));
	json_string(json, "name", info->name);
	json_number(json, "size_bytes", info->sectors << COWSTACK_SECTOR_SHIFT);
	json_number(json, "layers", cowstack_volume_depth(volume));
	json_string(json, "base_alone", base_alone_of(info));
	if (info->base_time)
		json_number(json, "base_time", info->base_time);
	else
		json_null(json, "base_time");
	json_end_object(json);
}

static void print_volume_text(const struct cowstack_volume *volume)
{
	const struct cowstack_volume_info *info = &volume->info;
	char size[SIZE_TEXT], words[BASE_ALONE_TEXT];
	const char *alone = base_alone_of(info);

	printf("volume %u, %s, %s, %u layers; base %s: %s\n",
	       from_volume_id(info->id),
	       info->name[0] ? info->name : "without a name",
	       size_print(info->sectors << COWSTACK_SECTOR_SHIFT, size),
	       cowstack_volume_depth(volume), alone,
	       base_alone_words(alone, info->base_time, base_job_of(info),
				words));
}

static void print_store_json(struct json *json, const struct finding *finding)
{
	const struct cowstack_superblock *superblock = &finding->md.superblock;
	const struct cowstack_volume *volume;
	char uuid[LINE_UUID];

	store_uuid_print(superblock->uuid, uuid);
	json_string(json, "name", superblock->name);
	json_string(json, "uuid", uuid);
	json_number(json, "chunk_bytes", to_bytes(finding, 1));
	json_number(json, "used_bytes", to_bytes(finding, count_used(finding)));
	json_number(json, "total_bytes",
		    to_bytes(finding, finding->md.allocator.chunks));
	json_number(json, "volumes", count_list(&finding->md.volumes));
	json_number(json, "layers", count_list(&finding->md.layers));
	json_number(json, "map_pages", finding->report.pages);
	json_number(json, "map_words", finding->report.words);
	json_begin_array(json, "volume_list");
	list_for_each_entry(volume, &finding->md.volumes, list)
		print_volume_json(json, volume);
	json_end_array(json);
}

static void print_json(const struct finding *finding)
{
	struct json json = { .file = stdout };

	json_begin_object(&json, NULL);
	json_string(&json, "device", finding->path);
	json_bool(&json, "clean", !finding->error);
	if (finding->error) {
		json_string(&json, "damage", finding->report.why);
		json_number(&json, "block", finding->report.where);
	} else {
		print_store_json(&json, finding);
	}
	json_number(&json, "journal_steps", finding->report.steps);
	json_bool(&json, "superblocks_differ",
		  finding->report.other_superblock);
	json_end_object(&json);
}

static void print_text(const struct finding *finding)
{
	const struct cowstack_superblock *superblock = &finding->md.superblock;
	char uuid[LINE_UUID], used[SIZE_TEXT], total[SIZE_TEXT];
	const struct cowstack_volume *volume;

	store_uuid_print(superblock->uuid, uuid);
	printf("%s: store %s, %s: clean\n", finding->path,
	       superblock->name[0] ? superblock->name : "-", uuid);
	printf("%llu volumes, %llu layers, %s of %s used\n",
	       llu(count_list(&finding->md.volumes)),
	       llu(count_list(&finding->md.layers)),
	       size_print(to_bytes(finding, count_used(finding)), used),
	       size_print(to_bytes(finding, finding->md.allocator.chunks),
			  total));
	printf("%llu chunks in %llu map pages, %llu journal steps to replay\n",
	       llu(finding->report.words), llu(finding->report.pages),
	       llu(finding->report.steps));
	list_for_each_entry(volume, &finding->md.volumes, list)
		print_volume_text(volume);
	if (finding->report.other_superblock)
		printf("one of the superblocks is bad or old; attaching the store renews it\n");
}

static enum exit_code report(const struct finding *finding, bool json)
{
	bool told = !finding->error || finding->error == -EUCLEAN;

	if (told && json)
		print_json(finding);
	else if (!finding->error)
		print_text(finding);
	return finding->error ? store_file_refuse(finding->path, finding->error,
						  &finding->report) :
				EXIT_DONE;
}

static enum exit_code check_store(struct store_file *file,
				  const struct options *options)
{
	struct finding finding = { .path = options->arguments[0] };
	enum exit_code code;

	finding.error = cowstack_load(&finding.md, store_file_reader(file),
				      &finding.report);
	code = report(&finding, options->json);
	if (!finding.error)
		cowstack_metadata_exit(&finding.md);
	return code;
}

enum exit_code command_check(const struct options *options)
{
	struct store_file *file;
	enum exit_code code = EXIT_DONE;
	bool nothing = true;

	if (!options->repair && (options->yes || options->backup || options->name))
		return fail(EXIT_USAGE, "--%s is for --repair",
			    options->yes ? "yes" :
			    options->backup ? "backup" : "name");
	if (options->name)
		code = name_check("store", options->name);
	if (code)
		return code;
	code = store_file_open(&file, options->arguments[0],
			       options->repair ? DEVICE_WRITE : DEVICE_READ);
	if (code)
		return code;
	if (options->repair)
		code = repair_store(file, options, &nothing);
	if (nothing)
		code = check_store(file, options);
	store_file_close(file);
	return code;
}
