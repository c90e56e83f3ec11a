/* SPDX-License-Identifier: GPL-2.0 */
/* What was last done to each volume, for whoever looks for the reason of a finding. */
#ifndef COWSTACK_CRASH_HISTORY_H
#define COWSTACK_CRASH_HISTORY_H

#include "oracle.h"

__printf(2, 3)
void history_note(unsigned int volume, const char *format, ...);
void history_print(unsigned int volume);

#endif /* COWSTACK_CRASH_HISTORY_H */
