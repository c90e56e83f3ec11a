/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a job could not move and left in its layer.
 */
#ifndef DMCOMMIT_ERROR_LIST_H
#define DMCOMMIT_ERROR_LIST_H

#include "inventory.h"

/* Prints all of it, however many pages the kernel gives it out in. */
enum exit_code error_list_print(const struct volume *volume, bool json);

#endif /* DMCOMMIT_ERROR_LIST_H */
