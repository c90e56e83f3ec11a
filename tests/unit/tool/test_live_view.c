// SPDX-License-Identifier: GPL-2.0
/* A view that is drawn again and again: on a terminal of our own, and in a pipe. */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "live_view.h"
#include "terminal.h"

#include "harness.h"

#define WAIT_MS 10000		/* far more than it takes */
#define SCREEN_BEGIN "\033[?1049h"
#define SCREEN_END "\033[?1049l"

enum { LINES = 10, LAST_LOOK = 3 };

/* Stops by itself at the third look if @context says so, as what is watched goes. */
static enum exit_code show(const void *context)
{
	static unsigned int looks;
	unsigned int i;

	printf("look %u\n", ++looks);
	for (i = 0; i < 2 * LINES; i++)
		printf("line %u\n", i);
	if (*(const bool *)context && looks == LAST_LOOK) {
		fprintf(stderr, "it went away\n");
		return EXIT_MISSING;
	}
	return EXIT_DONE;
}

struct screen {
	int fd;
	pid_t child;
	char text[1 << 16];
	size_t size;
};

static void start(struct screen *screen, bool ends)
{
	struct winsize size = { .ws_row = LINES, .ws_col = 40 };
	enum exit_code code;

	memset(screen, 0, sizeof(*screen));
	fflush(stdout);
	screen->child = forkpty(&screen->fd, NULL, NULL, &size);
	if (screen->child)
		return;
	setenv("TERM", "vt100", 1);
	code = live_view_run(show, &ends, 20, false);
	fflush(stdout);
	_exit(code);
}

/* Reads until @text was there, or all of it where that is NULL. */
static bool read_until(struct screen *screen, const char *text)
{
	struct pollfd fd = { .fd = screen->fd, .events = POLLIN };
	ssize_t got;

	while (!text || !strstr(screen->text, text)) {
		size_t room = sizeof(screen->text) - 1 - screen->size;

		if (!room || poll(&fd, 1, WAIT_MS) <= 0)
			return false;
		got = read(screen->fd, screen->text + screen->size, room);
		/* EIO: the other side is closed. */
		if (got <= 0)
			return !text;
		screen->size += got;
	}
	return true;
}

static int end(struct screen *screen)
{
	int status = -1;

	read_until(screen, NULL);
	waitpid(screen->child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool keyboard_is_cooked(const struct screen *screen)
{
	struct termios mode;

	return !tcgetattr(screen->fd, &mode) && (mode.c_lflag & ICANON) &&
	       (mode.c_lflag & ECHO);
}

/* The last look stands on the screen that comes back, which is as it was. */
static bool screen_was_restored(const struct screen *screen)
{
	const char *last = NULL, *at = screen->text;

	while ((at = strstr(at, SCREEN_END)))
		last = at++;
	return last && !strstr(last, SCREEN_BEGIN) &&
	       strstr(last, "look") && strstr(screen->text, "\033[?25h") &&
	       strstr(screen->text, "\033[?7h");
}

TEST(q_ends_it)
{
	struct screen screen;

	start(&screen, false);
	ASSERT_TRUE(read_until(&screen, "look 2"));
	EXPECT_NE(NULL, strstr(screen.text, SCREEN_BEGIN));
	EXPECT_FALSE(keyboard_is_cooked(&screen));
	ASSERT_EQ(1, write(screen.fd, "x", 1));
	ASSERT_TRUE(read_until(&screen, "look 4"));
	ASSERT_EQ(1, write(screen.fd, "q", 1));
	EXPECT_EQ(EXIT_DONE, end(&screen));
	EXPECT_TRUE(screen_was_restored(&screen));
	close(screen.fd);
}

static void check_signal(struct __test_metadata *_metadata, int number,
			 const char *key)
{
	struct screen screen;

	start(&screen, false);
	ASSERT_TRUE(read_until(&screen, "look 2"));
	ASSERT_EQ(0, key ? write(screen.fd, key, 1) - 1 :
			   kill(screen.child, number));
	EXPECT_EQ(EXIT_INTERRUPTED, end(&screen));
	EXPECT_TRUE(screen_was_restored(&screen));
	close(screen.fd);
}

TEST(interrupt_restores_the_terminal)
{
	check_signal(_metadata, SIGINT, "\003");
}

TEST(termination_restores_the_terminal)
{
	check_signal(_metadata, SIGTERM, NULL);
}

TEST(hangup_restores_the_terminal)
{
	check_signal(_metadata, SIGHUP, NULL);
}

/* No more lines than there are, or the upper ones would roll away. */
TEST(it_fits_on_the_screen)
{
	struct screen screen;
	char *first, *second;
	unsigned int lines = 0;

	start(&screen, false);
	ASSERT_TRUE(read_until(&screen, "look 2"));
	first = strstr(screen.text, "look 1");
	second = strstr(screen.text, "look 2");
	ASSERT_NE(NULL, first);
	for (; first < second; first++)
		lines += *first == '\n';
	EXPECT_EQ(LINES - 1, lines);
	kill(screen.child, SIGKILL);
	end(&screen);
	close(screen.fd);
}

TEST(a_failure_is_said_on_the_screen_that_stays)
{
	struct screen screen;
	char *end_of_view;

	start(&screen, true);
	EXPECT_EQ(EXIT_MISSING, end(&screen));
	EXPECT_TRUE(screen_was_restored(&screen));
	end_of_view = strstr(screen.text, SCREEN_END);
	ASSERT_NE(NULL, end_of_view);
	EXPECT_NE(NULL, strstr(end_of_view, "it went away"));
	close(screen.fd);
}

TEST(a_pipe_gets_one_after_the_other)
{
	char text[4096] = "";
	size_t size = 0;
	int ends[2];
	ssize_t got;
	pid_t child;
	int status;

	ASSERT_EQ(0, pipe(ends));
	fflush(stdout);
	child = fork();
	if (!child) {
		bool stop = true;

		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		status = live_view_run(show, &stop, 1, false);
		fflush(stdout);
		_exit(status);
	}
	close(ends[1]);
	while ((got = read(ends[0], text + size, sizeof(text) - 1 - size)) > 0)
		size += got;
	waitpid(child, &status, 0);
	EXPECT_EQ(EXIT_MISSING, WEXITSTATUS(status));
	EXPECT_NE(NULL, strstr(text, "line 19\n\nlook 2\n"));
	EXPECT_NE(NULL, strstr(text, "look 3\n"));
	EXPECT_EQ(NULL, strchr(text, '\033'));
	close(ends[0]);
}

/* --- colours --- */

/* On a terminal, with and without NO_COLOR; and a pipe. */
static bool colours_in(const char *terminal, const char *none, bool on_terminal)
{
	int master = -1, status = 0;
	pid_t child;

	fflush(stdout);
	child = on_terminal ? forkpty(&master, NULL, NULL, NULL) : fork();
	if (!child) {
		if (!on_terminal && !freopen("/dev/null", "w", stdout))
			_exit(2);
		setenv("TERM", terminal, 1);
		if (none)
			setenv("NO_COLOR", none, 1);
		else
			unsetenv("NO_COLOR");
		_exit(*colour_begin("fail") && *colour_end("fail"));
	}
	waitpid(child, &status, 0);
	if (on_terminal)
		close(master);
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

TEST(colours_only_on_a_terminal_that_wants_them)
{
	EXPECT_TRUE(colours_in("xterm", NULL, true));
	/* no-color.org: what is set and not empty. */
	EXPECT_TRUE(colours_in("xterm", "", true));
	EXPECT_FALSE(colours_in("xterm", "1", true));
	EXPECT_FALSE(colours_in("dumb", NULL, true));
	EXPECT_FALSE(colours_in("xterm", NULL, false));
}

TEST(colours_of_words)
{
	EXPECT_STREQ("green", colour_name("rw"));
	EXPECT_STREQ("yellow", colour_name("paused"));
	EXPECT_STREQ("red", colour_name("stopped"));
	EXPECT_EQ(NULL, colour_name("frozen"));
	EXPECT_EQ(NULL, colour_name(""));
}

TEST_HARNESS_MAIN
