// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "live_view.h"
#include "signals.h"
#include "terminal.h"

#define SCREEN_BEGIN "\033[?1049h\033[?25l\033[?7l"	/* other screen, no cursor, no wrap */
#define SCREEN_END "\033[?7h\033[?25h\033[?1049l"
#define CURSOR_HOME "\033[H"
#define LINE_END "\033[K\n"
#define CLEAR_BELOW "\033[J"

struct live_view {
	enum exit_code (*show)(const void *context);
	const void *context;
	unsigned int interval;
	struct termios before;		/* of the keyboard */
	bool keyboard;
	/* What the last look printed: out of here it goes to the screen. */
	char *text, *errors;
	size_t text_size, errors_size;
};

/* --- the keyboard --- */

static void open_keyboard(struct live_view *view)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &view->before))
		return;
	raw = view->before;
	raw.c_lflag &= ~(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	view->keyboard = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void close_keyboard(const struct live_view *view)
{
	if (view->keyboard)
		tcsetattr(STDIN_FILENO, TCSANOW, &view->before);
}

/* Until it is time for the next look, or a key or a signal says something. */
static bool wait_for_quit(struct live_view *view)
{
	struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
	char key;

	if (poll(&keys, view->keyboard ? 1 : 0, view->interval) <= 0)
		return false;
	/* A terminal that is gone would be ready for ever. */
	if (read(STDIN_FILENO, &key, 1) != 1)
		view->keyboard = false;
	return view->keyboard && (key == 'q' || key == 'Q');
}

/* --- one look --- */

static enum exit_code look(struct live_view *view)
{
	FILE *out = stdout, *err = stderr;
	enum exit_code code;

	stdout = open_memstream(&view->text, &view->text_size);
	stderr = open_memstream(&view->errors, &view->errors_size);
	if (stdout && stderr)
		code = view->show(view->context);
	else
		code = EXIT_FAILED;
	if (stdout)
		fclose(stdout);
	if (stderr)
		fclose(stderr);
	stdout = out;
	stderr = err;
	return code;
}

static void forget_look(struct live_view *view)
{
	free(view->text);
	free(view->errors);
	view->text = NULL;
	view->errors = NULL;
}

/* As many lines as there is room for, or the upper ones would roll out of sight. */
static void draw(const struct live_view *view)
{
	unsigned int room = terminal_height(STDOUT_FILENO);
	const char *line = view->text;
	size_t length;

	printf(CURSOR_HOME);
	while (*line && --room) {
		length = strcspn(line, "\n");
		printf("%.*s" LINE_END, (int)length, line);
		line += length + (line[length] == '\n');
	}
	printf(CLEAR_BELOW);
}

static enum exit_code run_on_screen(struct live_view *view)
{
	enum exit_code code;
	bool quit = false;

	signals_watch();
	open_keyboard(view);
	printf(SCREEN_BEGIN);
	do {
		forget_look(view);
		code = look(view);
		if (code)
			break;
		draw(view);
		if (fflush(stdout))
			code = EXIT_FAILED;
		else
			quit = wait_for_quit(view);
	} while (!code && !quit && !signals_interrupted());
	printf(SCREEN_END);
	fflush(stdout);
	close_keyboard(view);
	/* What went wrong belongs on the screen that stays; so does the last look. */
	if (view->text)
		fputs(view->text, stdout);
	if (view->errors)
		fputs(view->errors, stderr);
	forget_look(view);
	if (!code && signals_interrupted())
		code = EXIT_INTERRUPTED;
	return code;
}

static enum exit_code run_plain(struct live_view *view, bool separate)
{
	enum exit_code code;

	for (;;) {
		code = view->show(view->context);
		if (code)
			return code;
		if (fflush(stdout))
			return fail_output(-errno, "standard output");
		sleep_milliseconds(view->interval);
		if (separate)
			printf("\n");
	}
}

enum exit_code live_view_run(enum exit_code (*show)(const void *context),
			     const void *context, unsigned int interval,
			     bool plain)
{
	struct live_view view = {
		.show = show, .context = context, .interval = interval,
	};

	if (plain || !terminal_is_able(STDOUT_FILENO))
		return run_plain(&view, !plain);
	return run_on_screen(&view);
}
