// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "job_request.h"
#include "layer_list.h"
#include "message.h"
#include "size.h"

#define add_words(text, ...) append(text, sizeof(text), __VA_ARGS__)

__printf(3, 4)
static void append(char *text, size_t size, const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + used, size - used, format, arguments);
	va_end(arguments);
}

/* --- settings --- */

enum exit_code job_rate_parse(const char *text, u64 *rate)
{
	if (!size_parse(text, rate))
		return EXIT_DONE;
	return fail(EXIT_USAGE,
		    "\"%s\" is no rate: give bytes per second, as 50M, or 0 for no limit",
		    text);
}

static enum exit_code add_speed(struct job_request *request, const char *text)
{
	enum exit_code code;

	if (!text)
		return EXIT_DONE;
	code = job_rate_parse(text, &request->speed);
	if (code)
		return code;
	add_words(request->settings, " speed %llu", llu(request->speed));
	return EXIT_DONE;
}

static enum exit_code add_until(struct job_request *request, const char *text)
{
	u64 seconds;

	if (!text)
		return EXIT_DONE;
	if (time_parse(text, time(NULL), &seconds))
		return fail(EXIT_USAGE,
			    "--until: \"%s\" is no time: HH:MM, \"YYYY-MM-DD HH:MM\", or seconds since 1970",
			    text);
	request->until = seconds;
	add_words(request->settings, " until %llu", llu(seconds));
	return EXIT_DONE;
}

static enum exit_code add_on_error(struct job_request *request,
				   const char *text)
{
	static const char *const words[] = {
		[COWSTACK_ON_ERROR_STOP] = "stop",
		[COWSTACK_ON_ERROR_REPORT] = "report",
		[COWSTACK_ON_ERROR_IGNORE] = "ignore",
	};
	size_t i;

	if (!text)
		return EXIT_DONE;
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(text, words[i]))
			break;
	if (i == ARRAY_SIZE(words))
		return fail(EXIT_USAGE,
			    "--on-error: \"%s\" is not stop, report or ignore",
			    text);
	request->on_error = i;
	add_words(request->settings, " on_error %s", text);
	return EXIT_DONE;
}

/* What is wrong with a range whatever layers there are. */
static enum exit_code check_words(const struct options *options)
{
	u64 top, base;

	/* While the volume is not up, --base may name the base's device. */
	if (options->retain && options->base && strcmp(options->base, "0") &&
	    !options->offline)
		return fail(EXIT_USAGE,
			    "--retain keeps copies of what the base has too; leave out --base");
	if (!options->top || !options->base)
		return EXIT_DONE;
	if (!strcmp(options->top, options->base))
		return fail(EXIT_USAGE,
			    "--top and --base are both %s; top has to lie above base",
			    options->top);
	if (!number_parse(options->top, U32_MAX, &top) &&
	    !number_parse(options->base, U32_MAX, &base) && top <= base)
		return fail(EXIT_USAGE,
			    "--top %s does not lie above --base %s; ids ascend upwards",
			    options->top, options->base);
	return EXIT_DONE;
}

enum exit_code job_request_parse(struct job_request *request,
				 const struct options *options)
{
	enum exit_code code = check_words(options);

	memset(request, 0, sizeof(*request));
	if (!code)
		code = add_speed(request, options->speed);
	if (!code)
		code = add_until(request, options->until);
	if (!code)
		code = add_on_error(request, options->on_error);
	if (code)
		return code;
	if (options->no_yield)
		add_words(request->settings, " yield 0");
	if (options->retain)
		add_words(request->settings, " retain 1");
	if (options->verify)
		add_words(request->settings, " verify 1");
	return EXIT_DONE;
}

/* --- ranges --- */

static bool is_other_base(const struct job_status *job, const char *text)
{
	u64 base;

	return number_parse(text, U32_MAX, &base) || base != job->base;
}

/*
 * A job that waits to be gone on with has its range already.
 * *waits: there is one, and nothing was said that it could not take
 */
static enum exit_code check_waiting_job(const struct volume *volume,
					const struct options *options,
					bool *waits)
{
	struct stack_status status;
	int error = stack_status(volume->stack->name, &status);
	const struct job_status *job = &status.job;

	/* One that does not answer will say so when it is asked for more. */
	*waits = !error && job_is_waiting(job);
	if (!*waits || (!options->top && !is_other_base(job, options->base)))
		return EXIT_DONE;
	return fail(EXIT_REFUSED,
		    "the %s of %s is %s and has its range; leave out --top and --base to go on with it, or dmcommit cancel it first",
		    job->kind, volume->name, job->state);
}

/* Names, too, have to be in order. */
static enum exit_code check_order(const struct layer_line *top,
				  const struct layer_line *base)
{
	if (!top || !base || top->id > base->id)
		return EXIT_DONE;
	return fail(EXIT_USAGE, "layer %u does not lie above layer %u",
		    top->id, base->id);
}

static enum exit_code check_pinned(const struct layer_list *list,
				   const char *verb, u32 top, u32 base)
{
	const struct layer_line *pinned = layer_list_pinned(list, top, base);

	if (!pinned)
		return EXIT_DONE;
	return fail(EXIT_REFUSED,
		    "layer %u of %s is pinned and would be %s; dmcommit unpin %s %u lets it",
		    pinned->id, list->volume, verb, list->volume, pinned->id);
}

static enum exit_code check_destination(const struct layer_list *list,
					const struct layer_line *base)
{
	if (!base)
		return EXIT_DONE;
	if (layer_is_top(base))
		return fail(EXIT_REFUSED,
			    "layer %u is the top of %s; a commit goes into a layer below what it takes",
			    base->id, list->volume);
	if (base->pinned)
		return fail(EXIT_REFUSED,
			    "layer %u of %s is pinned, so nothing goes into it; dmcommit unpin %s %u lets it",
			    base->id, list->volume, list->volume, base->id);
	return EXIT_DONE;
}

/* 0 is the base, and no layer: *layer stays NULL. */
static enum exit_code find_below(const struct layer_list *list,
				 const char *text,
				 const struct layer_line **layer)
{
	if (!text || !strcmp(text, "0"))
		return EXIT_DONE;
	return layer_list_find(list, text, layer);
}

static void add_layer(struct job_request *request, const char *word,
		      const struct layer_line *layer, const char *text)
{
	if (text)
		add_words(request->range, " %s %u", word,
			  layer ? layer->id : 0);
}

static enum exit_code check_commit(const struct layer_list *list,
				   const struct options *options,
				   struct job_request *request)
{
	const struct layer_line *top = NULL, *base = NULL;
	enum exit_code code = EXIT_DONE;

	if (options->top)
		code = layer_list_find_frozen(list, options->top, &top);
	if (!code)
		code = find_below(list, options->base, &base);
	if (!code)
		code = check_order(top, base);
	if (!code)
		code = check_destination(list, base);
	/* Where it goes by default is not known here. */
	if (!code && top && options->base)
		code = check_pinned(list, "committed away", top->id,
				    base ? base->id : 0);
	if (code)
		return code;
	add_layer(request, "top", top, options->top);
	add_layer(request, "base", base, options->base);
	return EXIT_DONE;
}

enum exit_code job_request_commit_range(struct job_request *request,
					const struct volume *volume,
					const struct options *options)
{
	struct layer_list list;
	enum exit_code code;
	bool waits;

	if (!options->top && !options->base)
		return EXIT_DONE;
	code = check_waiting_job(volume, options, &waits);
	if (code || waits)
		return code;
	code = layer_list_load(&list, volume);
	if (!code)
		code = check_commit(&list, options, request);
	layer_list_free(&list);
	return code;
}

static enum exit_code check_stream(const struct layer_list *list,
				   const struct options *options,
				   struct job_request *request)
{
	bool all = options->base && !strcmp(options->base, "none");
	const struct layer_line *top = NULL, *base = NULL;
	enum exit_code code = EXIT_DONE;

	if (options->top)
		code = layer_list_find(list, options->top, &top);
	if (!code && !all)
		code = find_below(list, options->base, &base);
	if (!code)
		code = check_order(top, base);
	if (!code && list->count)
		code = check_pinned(list, "streamed through",
				    (top ? top : list->layers)->id - 1,
				    base ? base->id : 0);
	if (code)
		return code;
	add_layer(request, "top", top, options->top);
	if (all)
		add_words(request->range, " base none");
	else
		add_layer(request, "base", base, options->base);
	return EXIT_DONE;
}

enum exit_code job_request_stream_range(struct job_request *request,
					const struct volume *volume,
					const struct options *options)
{
	struct layer_list list;
	enum exit_code code = layer_list_load(&list, volume);

	if (!code)
		code = check_stream(&list, options, request);
	layer_list_free(&list);
	return code;
}
