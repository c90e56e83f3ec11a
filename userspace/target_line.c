// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "size.h"
#include "target_line.h"

#define STORE_PREFIX "COWSTORE-"
#define STACK_PREFIX "COWSTACK-"

/*
 * What is left of a line.  The first thing that is not as it should be sets
 * @bad, and whatever is taken after that is nothing; so it is asked about once,
 * at the end.
 */
struct line {
	const char *at;
	bool bad;
};

static void take_word(struct line *line, char *word, size_t size)
{
	size_t bytes;

	line->at += strspn(line->at, " ");
	bytes = strcspn(line->at, "\n ");
	if (!bytes || bytes >= size)
		line->bad = true;
	word[0] = '\0';
	if (line->bad)
		return;
	memcpy(word, line->at, bytes);
	word[bytes] = '\0';
	line->at += bytes;
}

static bool is_at_end(struct line *line)
{
	line->at += strspn(line->at, " ");
	return !*line->at || *line->at == '\n';
}

static u64 to_number(struct line *line, const char *word, u64 most)
{
	u64 number = 0;

	if (line->bad || number_parse(word, most, &number))
		line->bad = true;
	return line->bad ? 0 : number;
}

static u64 take_number(struct line *line, u64 most)
{
	char word[LINE_WORD];

	take_word(line, word, sizeof(word));
	return to_number(line, word, most);
}

static bool take_flag(struct line *line)
{
	return take_number(line, 1);
}

/* "-" is how the kernel says that there is none. */
static void take_name(struct line *line, char *name, size_t size)
{
	take_word(line, name, size);
	if (!strcmp(name, "-"))
		name[0] = '\0';
}

/* <number><separator><number>, in one word */
static void take_pair(struct line *line, char separator, u64 most, u64 *first,
		      u64 *second)
{
	char word[2 * LINE_WORD];
	char *middle;

	*first = 0;
	*second = 0;
	take_word(line, word, sizeof(word));
	middle = strchr(word, separator);
	if (!middle) {
		line->bad = true;
		return;
	}
	*middle = '\0';
	*first = to_number(line, word, most);
	*second = to_number(line, middle + 1, most);
}

static void take_device(struct line *line, unsigned int *major,
			unsigned int *minor)
{
	u64 first, second;

	take_pair(line, ':', U32_MAX, &first, &second);
	*major = first;
	*minor = second;
}

static void take_statistics(struct line *line, struct statistics *stats)
{
	u64 count = take_number(line, 10000);
	struct statistic ignored;
	char value[LINE_WORD];
	u64 i;

	stats->count = 0;
	for (i = 0; i < count && !line->bad; i++) {
		struct statistic *item = i < LINE_MAX_STATS ? &stats->items[i] :
							      &ignored;

		take_word(line, item->key, sizeof(item->key));
		take_word(line, value, sizeof(value));
		/* Later modules may say things that are no numbers. */
		if (number_parse(value, U64_MAX, &item->value))
			item->value = 0;
		if (item != &ignored)
			stats->count++;
	}
}

static int line_result(const struct line *line)
{
	return line->bad ? -EPROTO : 0;
}

/* False: it has failed, and nothing follows. */
static bool take_mode(struct line *line, char *mode, size_t size)
{
	take_word(line, mode, size);
	if (strcmp(mode, "Fail"))
		return true;
	snprintf(mode, size, "fail");
	return false;
}

int store_status_parse(const char *text, struct store_status *status)
{
	struct line line = { .at = text };

	memset(status, 0, sizeof(*status));
	if (!take_mode(&line, status->mode, sizeof(status->mode)))
		return 0;
	status->chunk_sectors = take_number(&line, COWSTACK_MAX_CHUNK_SECTORS);
	take_pair(&line, '/', U64_MAX, &status->used, &status->total);
	status->clean = take_number(&line, U64_MAX);
	status->volumes = take_number(&line, U32_MAX);
	status->out_of_space = take_flag(&line);
	take_statistics(&line, &status->stats);
	return line_result(&line);
}

static void take_job(struct line *line, struct job_status *job)
{
	take_word(line, job->state, sizeof(job->state));
	take_word(line, job->kind, sizeof(job->kind));
	job->top = take_number(line, U32_MAX);
	job->base = take_number(line, U32_MAX);
	take_pair(line, '/', U64_MAX, &job->done, &job->total);
	job->limit = take_number(line, U64_MAX);
	job->error = take_number(line, 4095);
}

int stack_status_parse(const char *text, struct stack_status *status)
{
	struct line line = { .at = text };

	memset(status, 0, sizeof(*status));
	if (!take_mode(&line, status->mode, sizeof(status->mode)))
		return 0;
	status->layers = take_number(&line, U32_MAX);
	status->top = take_number(&line, U32_MAX);
	status->used = take_number(&line, U64_MAX);
	status->clean = take_number(&line, U64_MAX);
	take_word(&line, status->base_alone, sizeof(status->base_alone));
	take_job(&line, &status->job);
	take_statistics(&line, &status->stats);
	return line_result(&line);
}

int store_table_parse(const char *text, struct store_table *table)
{
	struct line line = { .at = text };

	take_device(&line, &table->major, &table->minor);
	return line_result(&line);
}

int stack_table_parse(const char *text, struct stack_table *table)
{
	struct line line = { .at = text };

	take_device(&line, &table->base_major, &table->base_minor);
	take_device(&line, &table->store_major, &table->store_minor);
	table->volume = take_number(&line, U32_MAX);
	return line_result(&line);
}

/* The rest of the line: a base's name may be any text. */
static void take_rest(struct line *line, char *text, size_t size)
{
	size_t bytes;

	line->at += strspn(line->at, " ");
	bytes = strcspn(line->at, "\n");
	bytes = min(bytes, size - 1);
	memcpy(text, line->at, bytes);
	text[bytes] = '\0';
	if (!strcmp(text, "-"))
		text[0] = '\0';
}

int volume_line_parse(const char *text, struct volume_line *volume)
{
	struct line line = { .at = text };
	char up[LINE_WORD];

	memset(volume, 0, sizeof(*volume));
	volume->id = take_number(&line, (1 << COWSTACK_VOLUME_ID_BITS) - 1);
	take_name(&line, volume->name, sizeof(volume->name));
	volume->sectors = take_number(&line, U64_MAX >> COWSTACK_SECTOR_SHIFT);
	volume->layers = take_number(&line, U32_MAX);
	volume->used = take_number(&line, U64_MAX);
	volume->clean = take_number(&line, U64_MAX);
	take_word(&line, volume->base_alone, sizeof(volume->base_alone));
	take_word(&line, up, sizeof(up));
	volume->up = !strcmp(up, "up");
	if (!volume->up && strcmp(up, "down"))
		line.bad = true;
	take_rest(&line, volume->base_name, sizeof(volume->base_name));
	return line_result(&line);
}

int layer_line_parse(const char *text, struct layer_line *layer)
{
	struct line line = { .at = text };
	char pinned[LINE_WORD];

	memset(layer, 0, sizeof(*layer));
	layer->id = take_number(&line, U32_MAX);
	take_name(&line, layer->name, sizeof(layer->name));
	layer->parent = take_number(&line, U32_MAX);
	layer->used = take_number(&line, U64_MAX);
	layer->clean = take_number(&line, U64_MAX);
	take_word(&line, pinned, sizeof(pinned));
	layer->pinned = !strcmp(pinned, "pinned");
	take_word(&line, layer->role, sizeof(layer->role));
	return line_result(&line);
}

int plan_line_parse(const char *text, struct commit_plan *plan)
{
	struct line line = { .at = text };

	memset(plan, 0, sizeof(*plan));
	plan->top = take_number(&line, U32_MAX);
	plan->base = take_number(&line, U32_MAX);
	plan->chunks = take_number(&line, U64_MAX);
	plan->data_bytes = take_number(&line, U64_MAX);
	plan->zero_bytes = take_number(&line, U64_MAX);
	plan->requests = take_number(&line, U64_MAX);
	plan->freed_chunks = take_number(&line, U64_MAX);
	return line_result(&line);
}

int part_line_parse(const char *text, struct map_part *part)
{
	struct line line = { .at = text };

	part->number = take_number(&line, U32_MAX);
	part->used = take_number(&line, U64_MAX);
	part->clean = take_number(&line, U64_MAX);
	part->zero = take_number(&line, U64_MAX);
	part->hidden = take_number(&line, U64_MAX);
	/* Modules of before it was told end here. */
	part->tells_pieces = !is_at_end(&line);
	part->pieces = part->tells_pieces ? take_number(&line, U64_MAX) : 0;
	return line_result(&line);
}

int map_line_parse(const char *text, u64 *chunks, u64 *part_chunks)
{
	struct line line = { .at = text };

	*chunks = take_number(&line, U64_MAX);
	*part_chunks = take_number(&line, U64_MAX);
	return line_result(&line);
}

int run_line_parse(const char *text, struct sector_run *run)
{
	const u64 most = U64_MAX >> COWSTACK_SECTOR_SHIFT;
	struct line line = { .at = text };

	run->sector = take_number(&line, most);
	run->sectors = take_number(&line, most - run->sector);
	if (!run->sectors)
		line.bad = true;
	return line_result(&line);
}

u64 statistic_find(const struct statistics *stats, const char *key, u64 missing)
{
	unsigned int i;

	for (i = 0; i < stats->count; i++)
		if (!strcmp(stats->items[i].key, key))
			return stats->items[i].value;
	return missing;
}

bool job_is_active(const struct job_status *job)
{
	return !strcmp(job->state, "queued") || !strcmp(job->state, "running");
}

const char *job_state_shown(const struct job_status *job, bool up)
{
	return job_is_active(job) && !up ? "cut off" : job->state;
}

bool job_is_waiting(const struct job_status *job)
{
	return !strcmp(job->state, "paused") || !strcmp(job->state, "stopped");
}

void store_uuid_print(const u8 uuid[COWSTACK_UUID_SIZE], char text[LINE_UUID])
{
	char *at = text;
	int i;

	for (i = 0; i < COWSTACK_UUID_SIZE; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		at += snprintf(at, 3, "%02x", uuid[i]);
	}
}

void store_dm_uuid_print(const char *store, char text[LINE_DM_UUID])
{
	snprintf(text, LINE_DM_UUID, STORE_PREFIX "%s", store);
}

void stack_dm_uuid_print(const char *store, u32 volume, char text[LINE_DM_UUID])
{
	snprintf(text, LINE_DM_UUID, STACK_PREFIX "%s-%u", store, volume);
}

bool store_dm_uuid_parse(const char *uuid, char store[LINE_UUID])
{
	const size_t prefix = strlen(STORE_PREFIX);

	if (strncmp(uuid, STORE_PREFIX, prefix))
		return false;
	uuid += prefix;
	if (strlen(uuid) != LINE_UUID - 1 ||
	    strspn(uuid, "0123456789abcdef-") != LINE_UUID - 1)
		return false;
	snprintf(store, LINE_UUID, "%s", uuid);
	return true;
}
