// SPDX-License-Identifier: GPL-2.0
/*
 * usage: fail_each GROWTH load NAME SECTORS TARGET PARAMETERS
 *        fail_each GROWTH resume NAME SECTORS TARGET PARAMETERS
 *        fail_each GROWTH message NAME MESSAGE [UNDO]
 *
 * Loads a table, resumes a device, or sends a message, with the first allocation
 * failing, then the second, … until there is none left to fail, and tells how often
 * that was and how often it was refused:
 *
 *	tries 712 refused 688
 *
 * For "load" the device has no table, for "resume" it is made anew each time.  UNDO is
 * a command for the shell, that follows each message that was answered.  Where GROWTH is
 * not 0, what comes after the failure of allocation N is that of N + 1 + N / GROWTH.
 *
 * The kernel counts in /proc/self/fail-nth, and only what tests/guest/tests/memory.sh
 * tells it to.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MOST_TRIES = 20000, BUFFER = 16384 };

static int control, fail_nth;
static const char *name;
static union {
	struct dm_ioctl head;
	char bytes[BUFFER];
} request;

static void die(const char *what)
{
	fprintf(stderr, "fail_each: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void prepare(void)
{
	memset(&request, 0, sizeof(request));
	request.head.version[0] = DM_VERSION_MAJOR;
	request.head.data_size = sizeof(request);
	request.head.data_start = sizeof(request.head);
	snprintf(request.head.name, sizeof(request.head.name), "%s", name);
}

static void must(unsigned long command, const char *what)
{
	prepare();
	if (ioctl(control, command, &request))
		die(what);
}

static void write_fail_nth(unsigned int n)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(fail_nth, text, length, 0) != length)
		die("fail-nth");
}

/* What is left of the number: 0 when it has failed. */
static unsigned int read_fail_nth(void)
{
	char text[16] = "";

	if (pread(fail_nth, text, sizeof(text) - 1, 0) <= 0)
		die("fail-nth");
	return strtoul(text, NULL, 10);
}

/* The request that was prepared, with allocation @n failing; 0 or an errno. */
static int try_request(unsigned long command, unsigned int n, bool *failed)
{
	int error = 0;

	write_fail_nth(n);
	if (ioctl(control, command, &request))
		error = errno;
	*failed = !read_fail_nth();
	write_fail_nth(0);
	return error;
}

static void prepare_load(char **argv)
{
	struct dm_target_spec *spec = (void *)(request.bytes + sizeof(request.head));
	char *parameters = (char *)(spec + 1);

	prepare();
	request.head.target_count = 1;
	spec->length = strtoull(argv[0], NULL, 10);
	snprintf(spec->target_type, sizeof(spec->target_type), "%s", argv[1]);
	strcpy(parameters, argv[2]);
	spec->next = sizeof(*spec) + (strlen(parameters) + 8) / 8 * 8;
}

static int load(char **argv, unsigned int n, bool *failed)
{
	int error;

	prepare_load(argv);
	error = try_request(DM_TABLE_LOAD, n, failed);
	if (!error)
		must(DM_TABLE_CLEAR, "clear");
	return error;
}

static int resume(char **argv, unsigned int n, bool *failed)
{
	int error;

	must(DM_DEV_CREATE, "create");
	prepare_load(argv);
	if (ioctl(control, DM_TABLE_LOAD, &request))
		die("load");
	prepare();
	error = try_request(DM_DEV_SUSPEND, n, failed);
	must(DM_DEV_REMOVE, "remove");
	return error;
}

static int send_message(char **argv, unsigned int n, bool *failed)
{
	struct dm_target_msg *message = (void *)(request.bytes + sizeof(request.head));
	int error;

	prepare();
	strcpy(message->message, argv[0]);
	error = try_request(DM_TARGET_MSG, n, failed);
	if (!error && argv[1] && *argv[1] && system(argv[1]))
		die(argv[1]);
	return error;
}

int main(int argc, char **argv)
{
	unsigned int n, tries = 0, refused = 0, growth;
	bool failed = true;

	if (argc < 5 || (*argv[2] != 'm' && argc < 7)) {
		fputs("usage: see fail_each.c\n", stderr);
		return 2;
	}
	growth = strtoul(argv[1], NULL, 10);
	name = argv[3];
	control = open("/dev/mapper/control", O_RDWR);
	fail_nth = open("/proc/self/fail-nth", O_RDWR);
	if (control < 0 || fail_nth < 0)
		die("open");
	for (n = 1; failed && tries < MOST_TRIES;
	     n += 1 + (growth ? n / growth : 0)) {
		int error;

		if (*argv[2] == 'l')
			error = load(argv + 4, n, &failed);
		else if (*argv[2] == 'r')
			error = resume(argv + 4, n, &failed);
		else
			error = send_message(argv + 4, n, &failed);
		tries += failed;
		refused += failed && error;
		if (!failed && error) {
			fprintf(stderr, "fail_each: refused with nothing failing: %s\n",
				strerror(error));
			return 1;
		}
	}
	printf("tries %u refused %u\n", tries, refused);
	return 0;
}
