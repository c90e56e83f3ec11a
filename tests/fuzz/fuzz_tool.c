// SPDX-License-Identifier: GPL-2.0
/*
 * What the tool reads: lines of the module, which a later one may write otherwise, and
 * what users type.  The first byte says which parser gets the rest.
 */
#include <getopt.h>
#include <stdio.h>
#include <time.h>

#include "commands.h"
#include "feature.h"
#include "fuzz.h"
#include "job_request.h"
#include "kernel_log.h"
#include "layer_list.h"
#include "message.h"
#include "size.h"
#include "stacks_conf.h"
#include "volume_map.h"
#include "words.h"
#include "core/format.h"

/* --- in place of the kernel --- */

static const struct layer_line chain[] = {
	{ .id = 9, .parent = 7, .role = "top" },
	{ .id = 7, .name = "tuesday", .parent = 5, .role = "frozen" },
	{ .id = 5, .name = "monday", .parent = 4, .role = "frozen",
	  .pinned = true },
	{ .id = 4, .role = "frozen" },
};

static const char *job_state;

enum exit_code volume_layers(const struct volume *volume,
			     struct layer_line **layers, size_t *count)
{
	*count = ARRAY_SIZE(chain);
	*layers = malloc(sizeof(chain));
	if (!*layers)
		fuzz_fail("no memory");
	memcpy(*layers, chain, sizeof(chain));
	return EXIT_DONE;
}

int stack_status(const char *name, struct stack_status *status)
{
	memset(status, 0, sizeof(*status));
	strcpy(status->job.kind, "commit");
	strcpy(status->job.state, job_state);
	status->job.base = 4;
	return 0;
}

/* What a store answers to "map". */
static const char *map_reply;

int mapper_message(const char *name, u64 sector, const char *message,
		   char **reply)
{
	*reply = strdup(map_reply);
	return *reply ? 0 : -ENOMEM;
}

const char *mapper_reason(void)
{
	return NULL;
}

u64 volume_chunk_bytes(const struct volume *volume)
{
	return 65536;
}

/* --- commands: what they read of their options, and nothing else --- */

static enum exit_code test_size(const char *text)
{
	char printed[SIZE_TEXT];
	u64 number, seconds;

	if (!text)
		return EXIT_DONE;
	if (!size_parse(text, &number)) {
		size_print(number, printed);
		duration_print(number, printed);
		time_print(number, printed);
	}
	if (!time_parse(text, 1000000000, &seconds))
		time_print(seconds, printed);
	return EXIT_DONE;
}

static enum exit_code test_sets(const struct options *options)
{
	enum feature_target target;
	char *words;

	for (target = FEATURE_STORE; target <= FEATURE_STACK; target++) {
		words = feature_words(options->sets, options->set_count, target,
				      " read_only_base 1");
		if (words && strncmp(words, " ", 1))
			fuzz_fail("features without their count");
		free(words);
	}
	return EXIT_DONE;
}

static enum exit_code test_job(const struct options *options, bool stream)
{
	struct mapped_device stack = { .name = "vm" };
	struct volume volume = { .name = "vm", .stack = &stack };
	struct job_request request;
	enum exit_code code = job_request_parse(&request, options);

	if (code)
		return code;
	if (strlen(request.settings) >= sizeof(request.settings))
		fuzz_fail("settings that do not fit");
	code = stream ? job_request_stream_range(&request, &volume, options) :
			job_request_commit_range(&request, &volume, options);
	if (!code && strlen(request.range) >= sizeof(request.range))
		fuzz_fail("a range that does not fit");
	return code;
}

static enum exit_code test_options(const struct options *options)
{
	unsigned int i;

	test_size(options->size);
	test_size(options->chunk_size);
	for (i = 0; i < options->argument_count; i++)
		test_size(options->arguments[i]);
	return test_sets(options);
}

#define COMMAND(name) \
	enum exit_code command_##name(const struct options *options) \
	{ \
		return test_options(options); \
	}
COMMAND(format)
COMMAND(attach)
COMMAND(detach)
COMMAND(create)
COMMAND(up)
COMMAND(down)
COMMAND(delete)
COMMAND(clone)
COMMAND(resize)
COMMAND(grow)
COMMAND(snapshot)
COMMAND(drop)
COMMAND(pin)
COMMAND(unpin)
COMMAND(empty)
COMMAND(status)
COMMAND(layers)
COMMAND(list)
COMMAND(monitor)
COMMAND(tree)
COMMAND(map)
COMMAND(wait)
COMMAND(pause)
COMMAND(resume)
COMMAND(cancel)
COMMAND(speed)
COMMAND(set)
COMMAND(check)
COMMAND(dump)
COMMAND(restore)

enum exit_code command_start(const struct options *options)
{
	return test_job(options, false);
}

enum exit_code command_stream(const struct options *options)
{
	return test_job(options, true);
}

static void test_command_line(const char *text, size_t size)
{
	char name[] = "dmcommit";
	char *argv[MAX_WORDS + 2] = { name };
	struct words words;

	/* The tool parses once; getopt would go on where the last error was. */
	optind = 0;
	getopt(1, argv, "");
	words_split(&words, text, size);
	memcpy(argv + 1, words.argv, (words.argc + 1) * sizeof(*argv));
	job_state = size % 2 ? "paused" : "idle";
	options_run(words.argc + 1, argv);
	words_free(&words);
}

/* --- lines --- */

static void test_store_status(const char *text)
{
	struct store_status status;

	if (!store_status_parse(text, &status) &&
	    status.stats.count > LINE_MAX_STATS)
		fuzz_fail("more statistics than there is room for");
	statistic_find(&status.stats, "freeing", 0);
}

static void test_stack_status(const char *text)
{
	struct stack_status status;

	if (stack_status_parse(text, &status))
		return;
	if (status.stats.count > LINE_MAX_STATS)
		fuzz_fail("more statistics than there is room for");
	statistic_find(&status.stats, "rate_bytes", 0);
	if (job_is_active(&status.job) && job_is_waiting(&status.job))
		fuzz_fail("a job that runs and waits");
}

static void test_lines(const char *text)
{
	struct volume_line volume;
	struct layer_line layer;
	struct commit_plan plan;
	struct map_part part;
	char uuid[LINE_UUID];
	struct sector_run run;

	if (!volume_line_parse(text, &volume) &&
	    volume.id >> COWSTACK_VOLUME_ID_BITS)
		fuzz_fail("volume id is too large");
	if (!layer_line_parse(text, &layer))
		store_dm_uuid_parse(layer.role, uuid);
	plan_line_parse(text, &plan);
	part_line_parse(text, &part);
	if (!run_line_parse(text, &run) &&
	    (!run.sectors || run.sector + run.sectors < run.sector))
		fuzz_fail("a run that has no end");
}

static void test_tables(const char *text)
{
	struct stack_table stack;
	struct store_table store;
	char uuid[LINE_UUID];

	store_table_parse(text, &store);
	stack_table_parse(text, &stack);
	if (store_dm_uuid_parse(text, uuid) && strlen(uuid) != LINE_UUID - 1)
		fuzz_fail("a uuid of another length");
}

/* Whatever is taken for a map can be drawn. */
static void test_map(const char *text)
{
	struct store store = { .device.name = "ssd" };
	struct volume volume = { .name = "vm", .store = &store };
	static FILE *sink;
	FILE *out = stdout;
	struct json json = { };
	struct volume_map map;

	if (!sink)
		sink = fopen("/dev/null", "w");
	if (!sink)
		fuzz_fail("no /dev/null");
	map_reply = text;
	volume.line.sectors = 1 << 20;
	if (!volume_map_load(&map, &volume, 80)) {
		json.file = sink;
		stdout = sink;
		map_text_print(&map);
		stdout = out;
		map_json_print(&json, &map);
		map_svg_print(sink, &map);
	}
	volume_map_free(&map);
}

static void test_feature(const char *text)
{
	struct feature feature;

	feature_parse(text, FEATURE_STORE, &feature);
	feature_parse(text, FEATURE_STACK, &feature);
}

static void test_kernel_log(char *text)
{
	const char *found = kernel_log_match(text, "vm", "253:1");

	if (found && (found < text || strlen(found) > strlen(text) +
		      (size_t)(found - text)))
		fuzz_fail("words that are not in the record");
}

static void test_layer_list(const char *text)
{
	struct layer_list list = {
		.volume = "vm", .layers = (struct layer_line *)chain,
		.count = ARRAY_SIZE(chain),
	};
	const struct layer_line *layer;

	layer_list_find(&list, text, &layer);
	layer_list_find_frozen(&list, text, &layer);
}

static bool comes_before(const struct stacks_conf *conf,
			 const struct stacks_entry *entry, size_t place)
{
	size_t i;

	for (i = 0; entry && i < place; i++)
		if (conf->order[i] == entry)
			return true;
	return !entry || entry->wrong;
}

static void check_entry(const struct stacks_conf *conf, size_t place)
{
	const struct stacks_entry *entry = conf->order[place];

	if (entry->wrong || !cowstack_name_is_valid(entry->name) ||
	    entry->device[0] != '/' || entry->set_count > OPTIONS_MAX_SETS)
		fuzz_fail("an entry that is no good");
	if (entry->kind == STACKS_STACK && !entry->store_entry)
		fuzz_fail("a stack without a store");
	if (!comes_before(conf, entry->store_entry, place) ||
	    !comes_before(conf, entry->device_entry, place))
		fuzz_fail("an entry before what it needs");
	if (stacks_conf_find(conf, entry->name) != entry)
		fuzz_fail("two of one name");
}

static void test_stacks_conf(const char *data, size_t size)
{
	struct stacks_conf conf;
	char *text = malloc(size + 1);
	size_t i;

	if (!text)
		fuzz_fail("no memory");
	memcpy(text, data, size);
	if (stacks_conf_parse(&conf, "conf", text, size))
		fuzz_fail("no memory");
	for (i = 0; i < conf.order_count; i++)
		check_entry(&conf, i);
	if (conf.order_count < conf.count && !conf.wrong_lines)
		fuzz_fail("an entry left out without a word");
	stacks_conf_free(&conf);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	char *text;

	if (!size || size > MAX_TEXT)
		return 0;
	/* Just large enough, so that ASan sees what reads on. */
	text = strndup((const char *)data + 1, size - 1);
	if (!text)
		fuzz_fail("no memory");
	switch (data[0]) {
	case 'S':
		test_store_status(text);
		break;
	case 'V':
		test_stack_status(text);
		break;
	case 'L':
		test_lines(text);
		break;
	case 'T':
		test_tables(text);
		break;
	case 'M':
		test_map(text);
		break;
	case 'Z':
		test_size(text);
		break;
	case 'F':
		test_feature(text);
		break;
	case 'K':
		test_kernel_log(text);
		break;
	case 'C':
		test_stacks_conf((const char *)data + 1, size - 1);
		break;
	case 'N':
		test_layer_list(text);
		break;
	default:
		test_command_line((const char *)data + 1, size - 1);
	}
	free(text);
	return 0;
}
