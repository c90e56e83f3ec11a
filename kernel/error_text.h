/* SPDX-License-Identifier: GPL-2.0 */
#ifndef COWSTACK_ERROR_TEXT_H
#define COWSTACK_ERROR_TEXT_H

#include <linux/compiler.h>

/*
 * A text for ti->error made from @format.  It lives until some more are made: dm
 * prints it as soon as the constructor has returned.  Any context.
 */
__printf(1, 2) char *error_text_make(const char *format, ...);

#endif /* COWSTACK_ERROR_TEXT_H */
