// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/kernel.h>

#include "error_text.h"

char *error_text_make(const char *format, ...)
{
	static char texts[16][160];
	static atomic_t next;
	char *text = texts[(unsigned int)atomic_inc_return(&next) %
			   ARRAY_SIZE(texts)];
	va_list args;

	va_start(args, format);
	vscnprintf(text, sizeof(texts[0]), format, args);
	va_end(args);
	return text;
}
