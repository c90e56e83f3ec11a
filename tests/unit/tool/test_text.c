// SPDX-License-Identifier: GPL-2.0
/* JSON, words out of the kernel's log, features. */
#include <stdio.h>
#include <unistd.h>

#include "feature.h"
#include "json.h"
#include "kernel_log.h"

#include "harness.h"

TEST(json)
{
	char *text = NULL;
	size_t size;
	struct json json = { .file = open_memstream(&text, &size) };

	json_begin_object(&json, NULL);
	json_string(&json, "name", "a\"\\\n\x7f");
	json_string(&json, "none", NULL);
	json_number(&json, "most", U64_MAX);
	json_begin_array(&json, "list");
	json_number(&json, NULL, 1);
	json_bool(&json, NULL, true);
	json_begin_object(&json, NULL);
	json_end_object(&json);
	json_end_array(&json);
	json_begin_array(&json, "empty");
	json_end_array(&json);
	json_null(&json, "last");
	json_end_object(&json);
	fclose(json.file);
	EXPECT_STREQ("{\n"
		     "  \"name\": \"a\\\"\\\\\\u000a\\u007f\",\n"
		     "  \"none\": null,\n"
		     "  \"most\": 18446744073709551615,\n"
		     "  \"list\": [\n"
		     "    1,\n"
		     "    true,\n"
		     "    {}\n"
		     "  ],\n"
		     "  \"empty\": [],\n"
		     "  \"last\": null\n"
		     "}\n", text);
	free(text);
}

static const char *json_of(char text[64], const char *string)
{
	struct json json = { .file = fmemopen(text, 64, "w") };

	json_string(&json, NULL, string);
	fclose(json.file);
	return text;
}

/* Each byte that is no part of a character stands for itself. */
TEST(json_of_any_bytes)
{
#define NONE "\\ufffd"
	char t[64];

	EXPECT_STREQ("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xbe\"",
		     json_of(t, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xbe"));
	EXPECT_STREQ("\"a" NONE "z\"", json_of(t, "a\xffz"));
	EXPECT_STREQ("\"" NONE "\"", json_of(t, "\xc3"));
	EXPECT_STREQ("\"" NONE NONE "(\"", json_of(t, "\xe2\x82("));
	EXPECT_STREQ("\"" NONE NONE "\"", json_of(t, "\xc0\xaf"));
	EXPECT_STREQ("\"" NONE NONE NONE "\"", json_of(t, "\xed\xa0\x80"));
	EXPECT_STREQ("\"" NONE NONE NONE NONE "\"",
		     json_of(t, "\xf4\x90\x80\x80"));
	EXPECT_STREQ("\"\xf4\x8f\xbf\xbf\"", json_of(t, "\xf4\x8f\xbf\xbf"));
}

static const char *match(char record[256], const char *text)
{
	snprintf(record, 256, "3,99,5;%s\n SUBSYSTEM=x\n", text);
	return kernel_log_match(record, "vm1", "253:1");
}

#define LOGGED "device-mapper: "

TEST(kernel_log)
{
	char r[256];

	EXPECT_STREQ("no such volume",
		     match(r, LOGGED "table: 253:1: cowstack: no such volume (-ENOENT)"));
	EXPECT_STREQ("commit start: top 9: no such layer",
		     match(r, LOGGED "cowstack: vm1: commit start: top 9: no such layer"));
	EXPECT_STREQ("commit: no", match(r, LOGGED "cowstack: 253:1: commit: no"));
	EXPECT_STREQ("commit: no", match(r, "cowstack vm1: commit: no"));
	EXPECT_EQ(NULL, match(r, LOGGED "cowstack: vm11: no"));
	EXPECT_EQ(NULL, match(r, LOGGED "table: 253:11: cowstack: no"));
	EXPECT_EQ(NULL, match(r, LOGGED "cowstack: vm1: "));
	EXPECT_EQ(NULL, match(r, ""));
	/* A bracket that is not dm's errno stays. */
	EXPECT_STREQ("bad word (x)", match(r, LOGGED "cowstack: vm1: bad word (x)"));
	EXPECT_STREQ("(", match(r, LOGGED "cowstack: vm1: ("));
}

TEST(kernel_log_cut_off)
{
	char without[] = "3,99,5", nothing[] = "";

	EXPECT_EQ(NULL, kernel_log_match(without, "vm1", "253:1"));
	EXPECT_EQ(NULL, kernel_log_match(nothing, "vm1", "253:1"));
}

/* Errors are said on stderr, which is nobody's business here. */
FIXTURE(parsing) {
	int standard_error;
};

FIXTURE_SETUP(parsing)
{
	self->standard_error = dup(STDERR_FILENO);
	ASSERT_NE(NULL, freopen("/dev/null", "w", stderr));
}

FIXTURE_TEARDOWN(parsing)
{
	fflush(stderr);
	dup2(self->standard_error, STDERR_FILENO);
	close(self->standard_error);
}

TEST_F(parsing, good)
{
	struct feature f;

	ASSERT_EQ(EXIT_DONE, feature_parse("on_full=error", FEATURE_STORE, &f));
	EXPECT_STREQ("on_full", f.name);
	EXPECT_STREQ("error", f.value);
	EXPECT_EQ(EXIT_DONE, feature_parse("no_space_timeout=0", FEATURE_STORE,
					   &f));
	EXPECT_EQ(EXIT_DONE, feature_parse("commit_base=12", FEATURE_STACK,
					   &f));
}

TEST_F(parsing, bad)
{
	static const char * const bad[] = {
		"", "=", "on_full", "on_full=", "=error", "on_full=maybe",
		"discard_passdown=2", "high_watermark=101", "promote=1",
		"discard_passdown=-1", "no_space_timeout=1K", "on_ful=error",
		"discard_passdown=000000000000000000000000000000000000001",
	};
	struct feature f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(EXIT_USAGE, feature_parse(bad[i], FEATURE_STORE, &f))
			TH_LOG("feature \"%s\"", bad[i]);
	}
	EXPECT_EQ(EXIT_USAGE, feature_parse("on_full=error", FEATURE_STACK,
					    &f));
}

TEST_F(parsing, words)
{
	static const char * const sets[] = {
		"on_full=error", "no_space_timeout=5",
	};
	static const char * const wrong[] = { "on_full=never" };
	char *words = feature_words(sets, 2, FEATURE_STORE, "");

	ASSERT_NE(NULL, words);
	EXPECT_STREQ(" 4 on_full error no_space_timeout 5", words);
	free(words);
	words = feature_words(NULL, 0, FEATURE_STACK, " accept_base 1");
	ASSERT_NE(NULL, words);
	EXPECT_STREQ(" 2 accept_base 1", words);
	free(words);
	words = feature_words(NULL, 0, FEATURE_STACK, "");
	ASSERT_NE(NULL, words);
	EXPECT_STREQ("", words);
	free(words);
	EXPECT_EQ(NULL, feature_words(wrong, 1, FEATURE_STORE, ""));
}

TEST_HARNESS_MAIN
