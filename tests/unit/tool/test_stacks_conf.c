// SPDX-License-Identifier: GPL-2.0
/* stacks.conf: what is taken, in which order, and what is refused on which line. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stacks_conf.h"

#include "harness.h"

/* What is said on stderr goes into a file, and can be asked about. */
FIXTURE(conf)
{
	struct stacks_conf conf;
	char directory[32];
	char path[64];
	FILE *said;
	int saved;
};

FIXTURE_SETUP(conf)
{
	memset(&self->conf, 0, sizeof(self->conf));
	strcpy(self->directory, "/tmp/stacks_conf.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->directory));
	snprintf(self->path, sizeof(self->path), "%s/stacks.conf",
		 self->directory);
	self->said = tmpfile();
	ASSERT_NE(NULL, self->said);
	self->saved = dup(STDERR_FILENO);
	dup2(fileno(self->said), STDERR_FILENO);
}

FIXTURE_TEARDOWN(conf)
{
	dup2(self->saved, STDERR_FILENO);
	close(self->saved);
	fclose(self->said);
	stacks_conf_free(&self->conf);
	unlink(self->path);
	rmdir(self->directory);
}

/* Just as much memory as is promised, so that ASan sees what goes beyond. */
static int parse(struct stacks_conf *conf, const char *text)
{
	size_t bytes = strlen(text);
	char *copy = malloc(bytes + 1);

	stacks_conf_free(conf);
	memcpy(copy, text, bytes);
	copy[bytes] = 'x';
	return stacks_conf_parse(conf, "conf", copy, bytes);
}

static bool was_said(FILE *file, const char *words)
{
	char line[1024];
	bool found = false;

	rewind(file);
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, words);
	return found;
}

static void print_order(const struct stacks_conf *conf, char text[256])
{
	size_t i;

	text[0] = '\0';
	for (i = 0; i < conf->order_count; i++)
		snprintf(text + strlen(text), 256 - strlen(text), "%s%s",
			 i ? " " : "", conf->order[i]->name);
}

TEST_F(conf, what_is_taken)
{
	static const char text[] =
		"# stores\n"
		"\n"
		"  \t# and an indented comment\n"
		"store ssd0 /dev/disk/by-id/nvme-1  on_full=error,nofail\n"
		"stack\tvm1  ssd0 /dev/disk/by-id/ata-1\tnoauto,read-only-base,commit_base=3,initramfs\n"
		"stack vm2 ssd0 /var/lib/image -\n"
		"stack vm3 ssd0 /dev/sdz x-systemd.device-timeout=5min";
	const struct stacks_entry *e;

	ASSERT_EQ(0, parse(&self->conf, text));
	EXPECT_EQ(0, self->conf.wrong_lines);
	ASSERT_EQ(4, self->conf.count);
	e = &self->conf.entries[0];
	EXPECT_EQ(STACKS_STORE, e->kind);
	EXPECT_EQ(4, e->line);
	EXPECT_STREQ("ssd0", e->name);
	EXPECT_STREQ("/dev/disk/by-id/nvme-1", e->device);
	EXPECT_TRUE(e->nofail && !e->noauto && !e->read_only_base);
	ASSERT_EQ(1, e->set_count);
	EXPECT_STREQ("on_full=error", e->sets[0]);
	e = &self->conf.entries[1];
	EXPECT_EQ(STACKS_STACK, e->kind);
	EXPECT_STREQ("ssd0", e->store);
	EXPECT_STREQ("/dev/disk/by-id/ata-1", e->device);
	EXPECT_TRUE(e->noauto && e->read_only_base && e->initramfs &&
		    !e->nofail);
	EXPECT_EQ(&self->conf.entries[0], e->store_entry);
	EXPECT_STREQ("5min", self->conf.entries[3].device_timeout);
	EXPECT_EQ(0, parse(&self->conf, ""));
	EXPECT_EQ(0, self->conf.count);
	EXPECT_EQ(0, parse(&self->conf, "\n\n#\n"));
	EXPECT_EQ(0, self->conf.count + self->conf.wrong_lines);
}

TEST_F(conf, stores_first_and_lower_stacks_before_upper_ones)
{
	static const char text[] =
		"stack hot2 ssd /dev/disk/by-id/dm-name-cold2\n"
		"stack hot1 ssd /dev/mapper/cold1\n"
		"stack cold1 hdd /dev/master\n"
		"stack cold2 hdd /dev/master2\n"
		"stack deep nested /dev/third\n"
		"store nested /dev/mapper/hot1\n"
		"store ssd /dev/ssd\n"
		"store hdd /dev/hdd\n"
		"stack alone ssd /dev/mapper/vg-lv\n";
	char order[256];

	ASSERT_EQ(0, parse(&self->conf, text));
	EXPECT_EQ(0, self->conf.wrong_lines);
	print_order(&self->conf, order);
	EXPECT_STREQ("ssd hdd alone cold1 cold2 hot2 hot1 nested deep", order);
	/* Each after what it needs. */
	EXPECT_TRUE(strstr(order, "cold1") < strstr(order, "hot1"));
	EXPECT_TRUE(strstr(order, "cold2") < strstr(order, "hot2"));
	EXPECT_TRUE(strstr(order, "hot1") < strstr(order, "nested"));
	EXPECT_TRUE(strstr(order, "nested") < strstr(order, "deep"));
	EXPECT_TRUE(strstr(order, "hdd") < strstr(order, "cold1"));
	EXPECT_EQ(9, self->conf.order_count);
}

TEST_F(conf, lines_that_are_wrong)
{
	static const struct {
		const char *line;
		const char *said;
	} bad[] = {
		{ "disk a /dev/a", "\"disk\" is neither" },
		{ "store", "something is missing" },
		{ "store a", "something is missing" },
		{ "stack a ssd0", "something is missing" },
		{ "store a /dev/a nofail extra", "too many" },
		{ "store -a /dev/a", "\"-a\" is no name" },
		{ "store a/b /dev/a", "is no name" },
		{ "store a dev/a", "no absolute path" },
		{ "store a /dev/a frob", "no option \"frob\"" },
		{ "store a /dev/a nofail,", "no option \"\"" },
		{ "store a /dev/a read-only-base", "no option" },
		{ "store a /dev/a on_full=maybe", "is not queue or error" },
		{ "store a /dev/a commit_base=1", "has no feature" },
		{ "store a /dev/a =1", "is not FEATURE=VALUE" },
		{ "stack a ssd0 /dev/a accept_base=1", "is for once" },
		{ "stack a ssd0 /dev/a layer=3", "a view" },
		{ "stack a ssd0 /dev/a x-systemd.device-timeout=soon", "soon" },
		{ "stack a other /dev/a", "no line for store other" },
		{ "stack a vm /dev/a", "no line for store vm" },
		{ "stack a ssd0 /dev/ssd", "a store's device and a base" },
		{ "stack a ssd0 /dev/mapper/ssd0", "holds no image" },
		{ "store ssd0 /dev/a", "another ssd0" },
		{ "stack ssd0 ssd0 /dev/a", "another ssd0" },
		{ "store b /dev/ssd", "is that of store ssd0" },
		{ "store a /dev/a\r", "control character" },
		{ "store a /dev/\033[2J", "control character" },
	};
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text),
			 "store ssd0 /dev/ssd\nstack vm ssd0 /dev/b\n%s\nstack last ssd0 /dev/c\n",
			 bad[i].line);
		ASSERT_EQ(0, ftruncate(fileno(self->said), 0));
		rewind(self->said);
		ASSERT_EQ(0, parse(&self->conf, text));
		EXPECT_EQ(1, self->conf.wrong_lines)
			TH_LOG("line \"%s\"", bad[i].line);
		EXPECT_TRUE(was_said(self->said, "dmcommit: conf:3: ") &&
			    was_said(self->said, bad[i].said))
			TH_LOG("line \"%s\" without \"%s\"", bad[i].line,
			       bad[i].said);
		/* The others stand. */
		EXPECT_EQ(3, self->conf.order_count)
			TH_LOG("line \"%s\"", bad[i].line);
	}
}

TEST_F(conf, circles)
{
	static const char text[] =
		"store s /dev/s\n"
		"stack a s /dev/mapper/b\n"
		"stack b s /dev/mapper/a\n"
		"stack c s /dev/mapper/b\n"
		"stack d s /dev/d\n"
		"store t /dev/mapper/e\n"
		"stack e t /dev/e\n"
		"stack f s /dev/mapper/f\n";
	char order[256];

	ASSERT_EQ(0, parse(&self->conf, text));
	print_order(&self->conf, order);
	EXPECT_STREQ("s d", order);
	EXPECT_EQ(6, self->conf.wrong_lines);
	EXPECT_TRUE(was_said(self->said, "conf:3: b lies on itself"));
}

TEST_F(conf, bytes_that_are_no_text)
{
	char *text = malloc(32);

	memcpy(text, "store a /dev/a\0b\nstore c /dev/c\n", 32);
	stacks_conf_free(&self->conf);
	ASSERT_EQ(0, stacks_conf_parse(&self->conf, "conf", text, 31));
	EXPECT_EQ(1, self->conf.wrong_lines);
	EXPECT_EQ(1, self->conf.order_count);
}

TEST_F(conf, too_many)
{
	size_t i, used = 0, room = (STACKS_MAX_ENTRIES + 2) * 32;
	char *text = malloc(room);

	for (i = 0; i <= STACKS_MAX_ENTRIES; i++)
		used += snprintf(text + used, room - used,
				 "store s%zu /dev/s%zu\n", i, i);
	stacks_conf_free(&self->conf);
	ASSERT_EQ(0, stacks_conf_parse(&self->conf, "conf", text, used));
	EXPECT_EQ(STACKS_MAX_ENTRIES, self->conf.order_count);
	EXPECT_EQ(1, self->conf.wrong_lines);
	EXPECT_TRUE(was_said(self->said, "conf:4097: these are too many"));
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	fputs(text, file);
	fclose(file);
}

TEST_F(conf, whose_file_it_is)
{
	char link[64];

	EXPECT_EQ(EXIT_MISSING, stacks_conf_read(&self->conf, self->path));
	write_file(self->path, "store a /dev/a\n");
	if (getuid()) {
		EXPECT_EQ(EXIT_REFUSED,
			  stacks_conf_read(&self->conf, self->path));
		return;
	}
	ASSERT_EQ(EXIT_DONE, stacks_conf_read(&self->conf, self->path));
	EXPECT_EQ(1, self->conf.order_count);
	stacks_conf_free(&self->conf);
	ASSERT_EQ(0, chmod(self->path, 0664));
	EXPECT_EQ(EXIT_REFUSED, stacks_conf_read(&self->conf, self->path));
	EXPECT_TRUE(was_said(self->said, "may be written by others"));
	ASSERT_EQ(0, chmod(self->path, 0644));
	ASSERT_EQ(0, chmod(self->directory, 0777));
	EXPECT_EQ(EXIT_REFUSED, stacks_conf_read(&self->conf, self->path));
	ASSERT_EQ(0, chmod(self->directory, 0755));
	ASSERT_EQ(0, chown(self->path, 1, -1));
	EXPECT_EQ(EXIT_REFUSED, stacks_conf_read(&self->conf, self->path));
	EXPECT_TRUE(was_said(self->said, "is not root's"));
	ASSERT_EQ(0, chown(self->path, 0, -1));
	ASSERT_EQ(0, chown(self->directory, 1, -1));
	EXPECT_EQ(EXIT_REFUSED, stacks_conf_read(&self->conf, self->path));
	ASSERT_EQ(0, chown(self->directory, 0, -1));
	snprintf(link, sizeof(link), "%s/link", self->directory);
	ASSERT_EQ(0, symlink(self->path, link));
	EXPECT_EQ(EXIT_REFUSED, stacks_conf_read(&self->conf, link));
	EXPECT_TRUE(was_said(self->said, "is a symbolic link"));
	unlink(link);
	ASSERT_EQ(0, mkfifo(link, 0600));
	EXPECT_EQ(EXIT_FAILED, stacks_conf_read(&self->conf, link));
	unlink(link);
	ASSERT_EQ(0, truncate(self->path, STACKS_MAX_BYTES + 1));
	EXPECT_EQ(EXIT_FAILED, stacks_conf_read(&self->conf, self->path));
}

TEST_HARNESS_MAIN
