// SPDX-License-Identifier: GPL-2.0
/* The map of a volume: what a kernel may answer, and the pictures made of it. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "volume_map.h"

#include "harness.h"

/* --- the kernel: two layers, the lower one called monday --- */

enum { CHUNK = 65536, CHUNKS = 1000 };

static const char *map_reply[3];	/* of layers 7 and 4, and of the base */
static int map_error[3];
static char last_message[64];

enum exit_code volume_layers(const struct volume *volume,
			     struct layer_line **layers, size_t *count)
{
	*layers = calloc(2, sizeof(**layers));
	*count = 2;
	layer_line_parse("7 - 4 100 10 - top", &(*layers)[0]);
	layer_line_parse("4 monday 0 100 10 - frozen", &(*layers)[1]);
	return EXIT_DONE;
}

u64 volume_chunk_bytes(const struct volume *volume)
{
	return CHUNK;
}

const char *mapper_reason(void)
{
	return NULL;
}

int mapper_message(const char *name, u64 sector, const char *message,
		   char **reply)
{
	unsigned int id, layer, which;

	*reply = NULL;
	snprintf(last_message, sizeof(last_message), "%s", message);
	if (sscanf(message, "map %u %u", &id, &layer) != 2)
		return -EINVAL;
	which = layer == 7 ? 0 : layer == 4 ? 1 : 2;
	if (map_error[which])
		return map_error[which];
	*reply = strdup(map_reply[which]);
	return 0;
}

/* --- tests --- */

FIXTURE(map) {
	struct store store;
	struct volume volume;
	struct volume_map map;
};

FIXTURE_SETUP(map)
{
	memset(map_error, 0, sizeof(map_error));
	map_reply[0] = "1000 100\n0 100 0 0 100 1600\n3 50 0 2 40 640\n5 0 0 7 7 0\n";
	map_reply[1] = "1000 100\n0 1 0 0 0 3\n9 20 20 0 20 320\n";
	map_reply[2] = "1000 100\n0 101 0 0 100 1603\n3 50 0 2 40 640\n5 0 0 7 7 0\n"
		       "9 20 20 0 20 320\n";
	memset(self, 0, sizeof(*self));
	self->volume.store = &self->store;
	self->volume.line.id = 3;
	self->volume.line.sectors = CHUNKS * CHUNK / 512 - 1;
	strcpy(self->volume.name, "a<b>&\"c\"");
}

FIXTURE_TEARDOWN(map)
{
	volume_map_free(&self->map);
}

typedef FIXTURE_DATA(map) map_data;

static enum exit_code load(map_data *self)
{
	FILE *out = stderr;
	char *text = NULL;
	size_t size;
	enum exit_code code;

	volume_map_free(&self->map);
	stderr = open_memstream(&text, &size);
	code = volume_map_load(&self->map, &self->volume, 10);
	fclose(stderr);
	stderr = out;
	free(text);
	return code;
}

TEST_F(map, what_the_kernel_says)
{
	ASSERT_EQ(EXIT_DONE, load(self));
	EXPECT_STREQ("map 3 0 10", last_message);
	EXPECT_EQ(3, self->map.count);
	EXPECT_EQ(10, self->map.parts);
	EXPECT_EQ(150, self->map.rows[0].used);
	EXPECT_EQ(20, self->map.rows[1].clean);
	EXPECT_EQ(323, self->map.rows[1].pieces);
	EXPECT_EQ(323 * CHUNK / 16, volume_map_data(&self->map, 323));
	EXPECT_TRUE(map_row_is_base(&self->map.rows[2]));
	EXPECT_EQ(CHUNKS - 167, self->map.rows[2].shown);
	EXPECT_EQ(0, volume_map_held(&self->map, &self->map.rows[2], 0));
	EXPECT_EQ(60, volume_map_held(&self->map, &self->map.rows[2], 3));
}

/* A single chunk shows, and one that is missing too. */
TEST_F(map, levels)
{
	ASSERT_EQ(EXIT_DONE, load(self));
	EXPECT_EQ(8, volume_map_level(&self->map, &self->map.rows[0], 0));
	EXPECT_EQ(4, volume_map_level(&self->map, &self->map.rows[0], 3));
	EXPECT_EQ(1, volume_map_level(&self->map, &self->map.rows[1], 0));
	EXPECT_EQ(0, volume_map_level(&self->map, &self->map.rows[1], 1));
	EXPECT_EQ(0, volume_map_level(&self->map, &self->map.rows[2], 0));
	EXPECT_EQ(8, volume_map_level(&self->map, &self->map.rows[2], 1));
}

TEST_F(map, a_last_part_that_is_shorter)
{
	int i;

	map_reply[0] = "901 100\n9 1 0 0 1 16\n";
	map_reply[1] = "901 100\n";
	map_reply[2] = "901 100\n9 1 0 0 1 16\n";
	ASSERT_EQ(EXIT_DONE, load(self));
	EXPECT_EQ(1, volume_map_part_size(&self->map, 9));
	EXPECT_EQ(8, volume_map_level(&self->map, &self->map.rows[0], 9));
	for (i = 0; i < 9; i++)
		EXPECT_EQ(8, volume_map_level(&self->map, &self->map.rows[2],
					      i));
}

/* What cannot be is refused, and nothing of it is drawn. */
TEST_F(map, bad_answers)
{
	static const char *const bad[] = {
		"", "\n", "1000\n", "0 1\n", "1000 0\n", "x y\n",
		"1000 1\n",			/* more parts than were asked for */
		"18446744073709551615 18446744073709551615\n",
		"1000 100\n10 1 0 0 0 0\n",	/* no such part */
		"1000 100\n4294967296 1 0 0 0 0\n",
		"1000 100\n0 101 0 0 0 0\n",	/* more than it has chunks */
		"1000 100\n0 1 2 0 0 0\n",	/* more clean than used */
		"1000 100\n0 1 0 101 0 0\n",
		"1000 100\n0 1 0 0 101 0\n",
		"1000 100\n0 1 0 0 0 17\n",	/* more pieces than chunks have */
		"1000 100\n0 0 0 1 0 1\n",
		"1000 100\n0 0 0 1 0 18446744073709551615\n",
		"1000 100\n0 1 0 0\n",
		"1000 100\n0 1 0 0 0 -\n",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		map_reply[0] = bad[i];
		EXPECT_EQ(EXIT_FAILED, load(self)) {
			TH_LOG("answer %u", i);
		}
	}
}

TEST_F(map, what_changes_meanwhile)
{
	map_error[1] = -ENOENT;
	ASSERT_EQ(EXIT_DONE, load(self));
	EXPECT_EQ(2, self->map.count);
	map_error[1] = 0;
	map_reply[1] = "2000 200\n";
	EXPECT_EQ(EXIT_REFUSED, load(self));
	map_error[2] = -ENOENT;
	map_reply[1] = "1000 100\n";
	EXPECT_EQ(EXIT_MISSING, load(self));
	self->volume.store = NULL;
	EXPECT_EQ(EXIT_MISSING, load(self));
}

/* --- pictures --- */

static char *print_text(const struct volume_map *map)
{
	FILE *out = stdout;
	char *text = NULL;
	size_t size;

	stdout = open_memstream(&text, &size);
	map_text_print(map);
	fclose(stdout);
	stdout = out;
	return text;
}

TEST_F(map, letters_where_there_are_no_blocks)
{
	unsigned int i;
	char *text;

	setlocale(LC_CTYPE, "C");
	ASSERT_EQ(EXIT_DONE, load(self));
	text = print_text(&self->map);
	EXPECT_NE(NULL, strstr(text, "7 top               |#  = 0    |"));
	EXPECT_NE(NULL, strstr(text, "4 monday            |.        c|"));
	EXPECT_NE(NULL, strstr(text, "0 base              | ##+#####%|"));
	EXPECT_NE(NULL, strstr(text, " \"c\" few clean copies and nothing else, \"C\" many.\n"));
	EXPECT_NE(NULL, strstr(text, "\nthe layers           10M of data, in chunks of 10.7M.\n"));
	for (i = 0; text[i]; i++)
		EXPECT_EQ(0, text[i] & 0x80);
	free(text);
}

TEST_F(map, blocks_in_utf8)
{
	char *text;

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		SKIP(return, "no UTF-8 here");
	ASSERT_EQ(EXIT_DONE, load(self));
	text = print_text(&self->map);
	EXPECT_NE(NULL, strstr(text, "|█  ▄ ·    |"));
	EXPECT_NE(NULL, strstr(text, "|▁        c|"));
	free(text);
}

/* The lines are never longer than the terminal is wide. */
TEST_F(map, width)
{
	EXPECT_EQ(16, map_text_columns(0));
	EXPECT_EQ(16, map_text_columns(40));
	EXPECT_EQ(50, map_text_columns(80));
	EXPECT_EQ(MAP_MAX_PARTS, map_text_columns(100000));
}

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

TEST_F(map, svg)
{
	char *text = NULL;
	size_t size;
	FILE *file;

	ASSERT_EQ(EXIT_DONE, load(self));
	file = open_memstream(&text, &size);
	map_svg_print(file, &self->map);
	fclose(file);
	/* A picture's parts: 3 of layer 7, 2 of 4, 9 of the base. */
	EXPECT_EQ(14, count(text, "<title>"));
	EXPECT_EQ(count(text, "<title>"), count(text, "</title></rect>"));
	EXPECT_EQ(count(text, "<text"), count(text, "</text>"));
	EXPECT_EQ(1, count(text, "a&lt;b>&amp;&quot;c&quot;: volume"));
	EXPECT_EQ(1, count(text, "monday"));
	/* What is clean is hatched, and so it is in the legend. */
	EXPECT_EQ(5, count(text, "width=\"14.00\" height=\"14\""));
	EXPECT_EQ(2, count(text, "fill=\"url(#clean)\""));
	EXPECT_EQ(1, count(text, "<pattern id=\"clean\""));
	EXPECT_STREQ("</svg>\n", text + size - 7);
	free(text);
}

TEST_F(map, json)
{
	struct json json = { };
	char *text = NULL;
	size_t size;

	ASSERT_EQ(EXIT_DONE, load(self));
	json.file = open_memstream(&text, &size);
	map_json_print(&json, &self->map);
	fclose(json.file);
	EXPECT_EQ(3, count(text, "\"parts\": ["));
	EXPECT_EQ(5, count(text, "\"used_bytes\""));
	EXPECT_EQ(9, count(text, "\"shown_bytes\""));
	EXPECT_EQ(1, count(text, "\"part_bytes\": 6553600,"));
	EXPECT_EQ(1, count(text, "\"zero_bytes\": 458752,"));
	EXPECT_EQ(1, count(text, "\"data_bytes\": 12288,"));
	free(text);
}

/* A module of before pieces were told. */
TEST_F(map, an_older_module)
{
	struct json json = { };
	char *text = NULL;
	size_t size;

	map_reply[0] = "1000 100\n0 100 0 0 100\n3 50 0 2 40\n5 0 0 7 7\n";
	map_reply[1] = "1000 100\n0 1 0 0 0\n9 20 20 0 20\n";
	map_reply[2] = "1000 100\n0 101 0 0 100\n3 50 0 2 40\n5 0 0 7 7\n9 20 20 0 20\n";
	setlocale(LC_CTYPE, "C");
	ASSERT_EQ(EXIT_DONE, load(self));
	EXPECT_EQ(CHUNKS - 167, self->map.rows[2].shown);
	text = print_text(&self->map);
	EXPECT_NE(NULL, strstr(text, "7 top               |#  = 0    |"));
	EXPECT_EQ(NULL, strstr(text, "of data"));
	free(text);
	json.file = open_memstream(&text, &size);
	map_json_print(&json, &self->map);
	fclose(json.file);
	EXPECT_EQ(5, count(text, "\"data_bytes\": null,"));
	free(text);
}

TEST_HARNESS_MAIN
