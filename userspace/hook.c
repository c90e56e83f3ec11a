// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hook.h"
#include "size.h"

enum exit_code hook_check(const char *path)
{
	if (path[0] != '/')
		return fail(EXIT_USAGE,
			    "--exec %s: give an absolute path; no shell looks for it",
			    path);
	if (access(path, X_OK))
		return fail_errno(-errno, NULL, "--exec %s", path);
	return EXIT_DONE;
}

static void set_number(const char *name, u64 number)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", llu(number));
	setenv(name, text, 1);
}

static void set_environment(const struct change *change)
{
	const struct sighted *thing = change->thing;

	setenv("DMCOMMIT_EVENT", change->event, 1);
	setenv("DMCOMMIT_KIND", thing->is_store ? "store" : "stack", 1);
	setenv("DMCOMMIT_NAME", thing->name, 1);
	setenv("DMCOMMIT_STORE", thing->is_store ? thing->name : thing->store,
	       1);
	setenv("DMCOMMIT_VALUE", change->value, 1);
	setenv("DMCOMMIT_BEFORE", change->before ? change->before : "", 1);
	setenv("DMCOMMIT_MODE", thing->mode, 1);
	if (thing->is_store)
		return;
	setenv("DMCOMMIT_JOB", thing->job.kind, 1);
	set_number("DMCOMMIT_ERRNO", thing->job.error);
	set_number("DMCOMMIT_ERRORS", thing->errors);
}

/* What we hold back and ignore is not for it. */
static void reset_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGCHLD, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void run(const char *path, const struct change *change)
{
	int null = open("/dev/null", O_RDONLY);

	set_environment(change);
	reset_signals();
	dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execl(path, path, change->event, change->thing->name, change->value,
	      (char *)NULL);
	_exit(126);
}

void hook_start(const char *path, const struct change *change)
{
	pid_t child = fork();

	if (!child)
		run(path, change);
	if (child < 0)
		fail_errno(-errno, NULL, "--exec %s", path);
}

void hook_reap(const char *path)
{
	int status;

	while (waitpid(-1, &status, WNOHANG) > 0) {
		if (WIFSIGNALED(status))
			fail(EXIT_FAILED, "%s was ended by signal %d", path,
			     WTERMSIG(status));
		else if (WEXITSTATUS(status))
			fail(EXIT_FAILED, "%s ended with status %d", path,
			     WEXITSTATUS(status));
	}
}
