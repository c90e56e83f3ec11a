// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "metrics.h"
#include "size.h"
#include "status_view.h"

enum { JOURNAL_BLOCK = 4096 };

/* --- the text format --- */

static void begin_metric(const char *name, const char *type, const char *help)
{
	printf("# HELP cowstack_%s %s\n# TYPE cowstack_%s %s\n", name, help,
	       name, type);
}

/* A name that others have given may hold anything, the format is UTF-8. */
static void print_label(const char *key, const char *value)
{
	printf("%s=\"", key);
	for (; *value; value++) {
		unsigned char c = *value;

		if (c == '\\' || c == '"')
			printf("\\%c", c);
		else if (c == '\n')
			printf("\\n");
		else
			putchar(c < ' ' || c > '~' ? '?' : c);
	}
	putchar('"');
}

static const char *store_name(const struct volume *volume)
{
	return volume->store ? volume->store->device.name : "";
}

/* @key: of one more label, or NULL. */
static void print_sample(const char *name, const struct store *store,
			 const struct volume *volume, const char *key,
			 const char *value, u64 number)
{
	printf("cowstack_%s{", name);
	if (volume) {
		print_label("volume", volume->name);
		putchar(',');
	}
	print_label("store", volume ? store_name(volume) : store->device.name);
	if (key) {
		putchar(',');
		print_label(key, value);
	}
	printf("} %llu\n", llu(number));
}

/* One of several words: the one that holds is 1, the others 0. */
static void print_words(const char *name, const struct store *store,
			const struct volume *volume, const char *key,
			const char *const *words, const char *holds)
{
	for (; *words; words++)
		print_sample(name, store, volume, key, *words,
			     !strcmp(*words, holds));
}

/* --- stores --- */

static u64 chunks(const struct store *store, u64 count)
{
	return count * store_chunk_bytes(store);
}

static u64 stat_of(const struct store *store, const char *key)
{
	return statistic_find(&store->status.stats, key, 0);
}

#define STORE_VALUE(name, expression) \
	static u64 store_##name(const struct store *s) \
	{ \
		return expression; \
	}
STORE_VALUE(size, chunks(s, s->status.total))
STORE_VALUE(used, chunks(s, s->status.used))
STORE_VALUE(clean, chunks(s, s->status.clean))
STORE_VALUE(freeing, chunks(s, stat_of(s, "freeing")))
STORE_VALUE(room, s->status.out_of_space)
STORE_VALUE(volumes, s->status.volumes)
STORE_VALUE(memory, stat_of(s, "memory_bytes"))
STORE_VALUE(parked, stat_of(s, "parked"))
STORE_VALUE(steps, stat_of(s, "steps"))
STORE_VALUE(checkpoints, stat_of(s, "checkpoints"))
STORE_VALUE(journal_used, stat_of(s, "journal_used") * JOURNAL_BLOCK)
STORE_VALUE(journal, stat_of(s, "journal_blocks") * JOURNAL_BLOCK)

static const struct store_metric {
	const char *name;
	const char *type;
	const char *help;
	u64 (*value)(const struct store *store);
} store_metrics[] = {
	{ "store_size_bytes", "gauge", "Room for data and map of a store.",
	  store_size },
	{ "store_used_bytes", "gauge", "What of it is taken, clean copies too.",
	  store_used },
	{ "store_clean_bytes", "gauge",
	  "Clean copies, which go when room is needed.", store_clean },
	{ "store_freeing_bytes", "gauge",
	  "What comes back in the background.", store_freeing },
	{ "store_out_of_space", "gauge",
	  "Whether the store has no room for a write.", store_room },
	{ "store_volumes", "gauge", "Volumes of a store.", store_volumes },
	{ "store_memory_bytes", "gauge", "Memory that its maps take.",
	  store_memory },
	{ "store_waiting_writes", "gauge", "Writes that wait for room.",
	  store_parked },
	{ "store_steps_total", "counter",
	  "Durable steps since it was attached.", store_steps },
	{ "store_checkpoints_total", "counter",
	  "Checkpoints since it was attached.", store_checkpoints },
	{ "store_journal_used_bytes", "gauge",
	  "What of the journal waits for a checkpoint.", store_journal_used },
	{ "store_journal_size_bytes", "gauge", "Size of the journal.",
	  store_journal },
};

static const char * const modes[] = { "rw", "ro", "fail", NULL };

static void print_store_modes(const struct inventory *inventory)
{
	size_t i;

	begin_metric("store_mode", "gauge",
		     "What a store can do: 1 at the word that holds.");
	for (i = 0; i < inventory->store_count; i++) {
		const struct store *store = &inventory->stores[i];

		print_words("store_mode", store, NULL, "mode", modes,
			    store->error ? "fail" : store->status.mode);
	}
}

static bool store_answers(const struct store *store)
{
	return !store->error && strcmp(store->status.mode, "fail");
}

static void print_stores(const struct inventory *inventory)
{
	size_t i, m;

	print_store_modes(inventory);
	for (m = 0; m < ARRAY_SIZE(store_metrics); m++) {
		const struct store_metric *metric = &store_metrics[m];

		begin_metric(metric->name, metric->type, metric->help);
		for (i = 0; i < inventory->store_count; i++) {
			const struct store *store = &inventory->stores[i];

			if (store_answers(store))
				print_sample(metric->name, store, NULL, NULL,
					     NULL, metric->value(store));
		}
	}
}

/* --- volumes --- */

static u64 view_stat(const struct status_view *view, const char *key)
{
	return statistic_find(&view->status.stats, key, 0);
}

#define VOLUME_VALUE(name, expression) \
	static u64 volume_##name(const struct status_view *v) \
	{ \
		return expression; \
	}
VOLUME_VALUE(up, !!v->volume->stack)
VOLUME_VALUE(size, v->volume->line.sectors << COWSTACK_SECTOR_SHIFT)
VOLUME_VALUE(used, v->status.used * v->chunk_bytes)
VOLUME_VALUE(clean, v->status.clean * v->chunk_bytes)
VOLUME_VALUE(layer_count, v->status.layers)
VOLUME_VALUE(base_time, view_stat(v, "base_time"))
VOLUME_VALUE(job_done, v->status.job.done * v->chunk_bytes)
VOLUME_VALUE(job_total, v->status.job.total * v->chunk_bytes)
VOLUME_VALUE(job_rate, view_stat(v, "rate_bytes"))
VOLUME_VALUE(job_limit, v->status.job.limit)
VOLUME_VALUE(job_errors, view_stat(v, "errors"))

static const struct volume_metric {
	const char *name;
	const char *help;
	u64 (*value)(const struct status_view *view);
} volume_metrics[] = {
	{ "volume_up", "Whether a stack shows the volume.", volume_up },
	{ "volume_size_bytes", "Size of a volume.", volume_size },
	{ "volume_used_bytes", "What its layers hold in the store.",
	  volume_used },
	{ "volume_clean_bytes", "Its clean copies.", volume_clean },
	{ "volume_layers", "Layers of its chain.", volume_layer_count },
	{ "volume_base_timestamp_seconds",
	  "The point in time that the base, alone, shows; 0: none.",
	  volume_base_time },
	{ "job_done_bytes", "How far its job is, in the destination.",
	  volume_job_done },
	{ "job_total_bytes", "How far its job goes.", volume_job_total },
	{ "job_rate_bytes_per_second", "How fast its job is.",
	  volume_job_rate },
	{ "job_limit_bytes_per_second", "How fast it may be; 0: any.",
	  volume_job_limit },
	{ "job_errors", "Errors that the job has met.", volume_job_errors },
};

static const char * const job_states[] = {
	"idle", "queued", "running", "paused", "stopped", "completed",
	"cancelled", NULL
};

static const char * const base_states[] = {
	"valid", "mixed", "unknown", NULL
};

struct views {
	struct status_view *views;
	size_t count;			/* of those that answered */
};

static void print_word_metric(const struct views *views, const char *name,
			      const char *help, const char *key,
			      const char *const *words,
			      const char *(*word)(const struct status_view *))
{
	size_t i;

	begin_metric(name, "gauge", help);
	for (i = 0; i < views->count; i++)
		print_words(name, NULL, views->views[i].volume, key, words,
			    word(&views->views[i]));
}

static const char *mode_of(const struct status_view *view)
{
	return view->status.mode;
}

static const char *job_state_of(const struct status_view *view)
{
	return view->status.job.state;
}

static const char *base_alone_of(const struct status_view *view)
{
	return view->status.base_alone;
}

static void print_volumes(const struct views *views)
{
	static const char * const volume_modes[] = {
		"rw", "ro", "fail", STATUS_DOWN, NULL
	};
	size_t i, m;

	print_word_metric(views, "volume_mode",
			  "What a volume can do: 1 at the word that holds.",
			  "mode", volume_modes, mode_of);
	print_word_metric(views, "volume_base_alone",
			  "What the base is without its layers: 1 at the word that holds.",
			  "state", base_states, base_alone_of);
	print_word_metric(views, "job_state",
			  "What its job does: 1 at the word that holds.",
			  "state", job_states, job_state_of);
	for (m = 0; m < ARRAY_SIZE(volume_metrics); m++) {
		const struct volume_metric *metric = &volume_metrics[m];

		begin_metric(metric->name, "gauge", metric->help);
		for (i = 0; i < views->count; i++)
			print_sample(metric->name, NULL,
				     views->views[i].volume, NULL, NULL,
				     metric->value(&views->views[i]));
	}
}

static enum exit_code load_views(struct views *views,
				 const struct inventory *inventory)
{
	enum exit_code code = EXIT_DONE, one;
	size_t i;

	views->count = 0;
	views->views = calloc(inventory->volume_count + 1,
			      sizeof(*views->views));
	if (!views->views)
		return fail_errno(-ENOMEM, NULL, "metrics");
	for (i = 0; i < inventory->volume_count; i++) {
		struct status_view *view = &views->views[views->count];

		one = status_view_load(view, &inventory->volumes[i]);
		if (one)
			status_view_free(view);
		else
			views->count++;
		code = code ? code : one;
	}
	return code;
}

enum exit_code metrics_print(const struct inventory *inventory)
{
	struct views views;
	enum exit_code code = load_views(&views, inventory);
	size_t i;

	if (!views.views)
		return code;
	print_stores(inventory);
	print_volumes(&views);
	for (i = 0; i < views.count; i++)
		status_view_free(&views.views[i]);
	free(views.views);
	return code;
}
