/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What stacks.conf(5) names, brought up and taken down in order: stores before
 * their stacks, lower stacks before upper ones, and the other way round.  What is
 * as it should be is left alone; one that fails does not keep back those that do
 * not need it.
 */
#ifndef DMCOMMIT_ALL_STACKS_H
#define DMCOMMIT_ALL_STACKS_H

#include "stacks_conf.h"

/* All but noauto, those for the initramfs, or the one named; and what they need. */
enum exit_code all_stacks_up(const struct options *options);

/* All, also noauto. */
enum exit_code all_stacks_down(const struct options *options);

#endif /* DMCOMMIT_ALL_STACKS_H */
