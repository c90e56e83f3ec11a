// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>

#include "history.h"

enum { EVENTS = 80, EVENT_TEXT = 112 };

static struct {
	char text[EVENTS][EVENT_TEXT];
	unsigned int count;
} history[VOLUMES];

void history_note(unsigned int volume, const char *format, ...)
{
	unsigned int place = history[volume].count++ % EVENTS;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(history[volume].text[place], EVENT_TEXT, format, arguments);
	va_end(arguments);
}

void history_print(unsigned int volume)
{
	unsigned int i = history[volume].count > EVENTS ?
				 history[volume].count - EVENTS : 0;

	for (; i < history[volume].count; i++)
		printf("#   %s\n", history[volume].text[i % EVENTS]);
}
