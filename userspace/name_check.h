/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DMCOMMIT_NAME_CHECK_H
#define DMCOMMIT_NAME_CHECK_H

#include "exit_code.h"

/* A name that stores, volumes and layers may have; says so if not. */
enum exit_code name_check(const char *what, const char *name);

#endif /* DMCOMMIT_NAME_CHECK_H */
