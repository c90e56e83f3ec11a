// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "signals.h"
#include "core/environment.h"

static sig_atomic_t interrupted;
static unsigned int holds;

static void change_mask(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(how, &set, NULL);
}

void signals_hold(void)
{
	if (!holds++)
		change_mask(SIG_BLOCK);
}

void signals_release(void)
{
	if (!--holds)
		change_mask(SIG_UNBLOCK);
}

static void note_signal(int number)
{
	WRITE_ONCE(interrupted, number);
}

void signals_watch(void)
{
	struct sigaction action = { .sa_handler = note_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

bool signals_interrupted(void)
{
	return READ_ONCE(interrupted);
}

bool signals_wait_for(int fd)
{
	struct pollfd poll = { .fd = fd, .events = POLLIN };
	sigset_t none;

	sigemptyset(&none);
	return ppoll(&poll, 1, NULL, &none) > 0;
}

void sleep_milliseconds(unsigned int milliseconds)
{
	struct timespec time = {
		.tv_sec = milliseconds / 1000,
		.tv_nsec = milliseconds % 1000 * 1000000L,
	};

	nanosleep(&time, NULL);
}
