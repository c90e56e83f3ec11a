// SPDX-License-Identifier: GPL-2.0
/* What is asked of the kernel for a commit and a stream, and what is not. */
#include <stdio.h>
#include <unistd.h>

#include "job_request.h"
#include "layer_list.h"
#include "message.h"

#include "harness.h"

static const struct layer_line chain[] = {
	{ .id = 9, .parent = 7, .role = "top" },
	{ .id = 7, .name = "tuesday", .parent = 5, .role = "frozen" },
	{ .id = 5, .name = "monday", .parent = 4, .role = "frozen",
	  .pinned = true },
	{ .id = 4, .role = "frozen" },
};

static const char *job_state = "idle";

/* In place of the kernel. */
enum exit_code volume_layers(const struct volume *volume,
			     struct layer_line **layers, size_t *count)
{
	*count = ARRAY_SIZE(chain);
	*layers = malloc(sizeof(chain));
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

/* Refusals are said on stderr, which is nobody's business here. */
FIXTURE(request) {
	struct mapped_device stack;
	struct volume volume;
	struct job_request request;
	int standard_error;
};

FIXTURE_SETUP(request)
{
	self->standard_error = dup(STDERR_FILENO);
	ASSERT_NE(NULL, freopen("/dev/null", "w", stderr));
	job_state = "idle";
	strcpy(self->stack.name, "vm");
	strcpy(self->volume.name, "vm");
	self->volume.stack = &self->stack;
}

FIXTURE_TEARDOWN(request)
{
	fflush(stderr);
	dup2(self->standard_error, STDERR_FILENO);
	close(self->standard_error);
}

static enum exit_code commit(struct job_request *request,
			     const struct volume *volume, const char *top,
			     const char *base)
{
	const struct options options = { .top = top, .base = base };
	enum exit_code code = job_request_parse(request, &options);

	if (!code)
		code = job_request_commit_range(request, volume, &options);
	return code;
}

static enum exit_code stream(struct job_request *request,
			     const struct volume *volume, const char *top,
			     const char *base)
{
	const struct options options = { .top = top, .base = base };
	enum exit_code code = job_request_parse(request, &options);

	if (!code)
		code = job_request_stream_range(request, volume, &options);
	return code;
}

#define COMMIT(top, base) commit(&self->request, &self->volume, top, base)
#define STREAM(top, base) stream(&self->request, &self->volume, top, base)

TEST_F(request, settings)
{
	const struct options options = {
		.speed = "1M", .until = "1700000000", .on_error = "report",
		.no_yield = true, .retain = true, .verify = true,
	};
	const struct options none = { };

	ASSERT_EQ(EXIT_DONE, job_request_parse(&self->request, &options));
	EXPECT_STREQ(" speed 1048576 until 1700000000 on_error report yield 0 retain 1 verify 1",
		     self->request.settings);
	EXPECT_EQ(1 << 20, self->request.speed);
	ASSERT_EQ(EXIT_DONE, job_request_parse(&self->request, &none));
	EXPECT_STREQ("", self->request.settings);
}

TEST_F(request, wrong_settings)
{
	static const struct options wrong[] = {
		{ .speed = "fast" }, { .until = "noon" },
		{ .on_error = "maybe" }, { .retain = true, .base = "4" },
		{ .top = "4", .base = "4" }, { .top = "4", .base = "6" },
		{ .top = "monday", .base = "monday" },
	};
	static const struct options right = { .retain = true, .base = "0" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(EXIT_USAGE,
			  job_request_parse(&self->request, &wrong[i]));
	}
	EXPECT_EQ(EXIT_DONE, job_request_parse(&self->request, &right));
}

TEST_F(request, commit_ranges)
{
	EXPECT_EQ(EXIT_DONE, COMMIT(NULL, NULL));
	EXPECT_STREQ("", self->request.range);
	EXPECT_EQ(EXIT_DONE, COMMIT(NULL, "4"));
	EXPECT_STREQ(" base 4", self->request.range);
	/* Where it goes may lie above what is pinned. */
	EXPECT_EQ(EXIT_DONE, COMMIT("tuesday", NULL));
	EXPECT_STREQ(" top 7", self->request.range);
	EXPECT_EQ(EXIT_DONE, COMMIT("4", "0"));
	EXPECT_STREQ(" top 4 base 0", self->request.range);
}

TEST_F(request, commits_refused)
{
	EXPECT_EQ(EXIT_MISSING, COMMIT("8", NULL));
	EXPECT_EQ(EXIT_MISSING, COMMIT("friday", NULL));
	EXPECT_EQ(EXIT_MISSING, COMMIT("7", "3"));
	EXPECT_EQ(EXIT_REFUSED, COMMIT("9", NULL));
	EXPECT_EQ(EXIT_REFUSED, COMMIT(NULL, "9"));
	EXPECT_EQ(EXIT_USAGE, COMMIT("4", "monday"));
	EXPECT_EQ(EXIT_USAGE, COMMIT("tuesday", "7"));
	EXPECT_EQ(EXIT_REFUSED, COMMIT("7", "0"));
	EXPECT_EQ(EXIT_REFUSED, COMMIT("7", "4"));
	EXPECT_EQ(EXIT_REFUSED, COMMIT("7", "5"));
}

TEST_F(request, job_that_waits)
{
	job_state = "paused";
	EXPECT_EQ(EXIT_DONE, COMMIT(NULL, NULL));
	/* Where it goes is settled, and need not be said. */
	EXPECT_EQ(EXIT_DONE, COMMIT(NULL, "4"));
	EXPECT_STREQ("", self->request.range);
	EXPECT_EQ(EXIT_REFUSED, COMMIT(NULL, "0"));
	EXPECT_EQ(EXIT_REFUSED, COMMIT("4", "0"));
	job_state = "completed";
	EXPECT_EQ(EXIT_DONE, COMMIT("4", "0"));
}

TEST_F(request, streams)
{
	EXPECT_EQ(EXIT_DONE, STREAM("monday", NULL));
	EXPECT_STREQ(" top 5", self->request.range);
	EXPECT_EQ(EXIT_DONE, STREAM("9", "monday"));
	EXPECT_STREQ(" top 9 base 5", self->request.range);
	EXPECT_EQ(EXIT_DONE, STREAM("5", "none"));
	EXPECT_STREQ(" top 5 base none", self->request.range);
	EXPECT_EQ(EXIT_DONE, STREAM("4", "0"));
	EXPECT_STREQ(" top 4 base 0", self->request.range);
	/* What is pinned lies between. */
	EXPECT_EQ(EXIT_REFUSED, STREAM(NULL, NULL));
	EXPECT_EQ(EXIT_REFUSED, STREAM("7", "none"));
	EXPECT_EQ(EXIT_MISSING, STREAM("8", NULL));
	EXPECT_EQ(EXIT_MISSING, STREAM(NULL, "nothing"));
	EXPECT_EQ(EXIT_USAGE, STREAM("4", "monday"));
}

TEST_F(request, layers)
{
	struct layer_list list;
	const struct layer_line *layer;

	ASSERT_EQ(EXIT_DONE, layer_list_load(&list, &self->volume));
	EXPECT_EQ(7, layer_list_newest_frozen(&list)->id);
	EXPECT_EQ(EXIT_DONE, layer_list_find(&list, "monday", &layer));
	EXPECT_EQ(5, layer->id);
	EXPECT_EQ(NULL, layer_list_pinned(&list, 4, 0));
	EXPECT_EQ(NULL, layer_list_pinned(&list, 9, 5));
	EXPECT_EQ(5, layer_list_pinned(&list, 5, 4)->id);
	list.count = 1;
	EXPECT_EQ(NULL, layer_list_newest_frozen(&list));
	list.count = 0;
	EXPECT_EQ(NULL, layer_list_newest_frozen(&list));
	EXPECT_EQ(EXIT_MISSING, layer_list_find(&list, "9", &layer));
	layer_list_free(&list);
}

TEST_HARNESS_MAIN
