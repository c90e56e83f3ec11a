/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What stacks.conf(5) says of a volume that is to be committed while it is not up:
 * its store's device and its base, where the command line does not.
 */
#ifndef DMCOMMIT_OFFLINE_LIST_H
#define DMCOMMIT_OFFLINE_LIST_H

#include "stacks_conf.h"

/*
 * Fills in @options' store, and its base if there is none; they are @conf's, to be
 * freed with stacks_conf_free() in any case.
 */
enum exit_code offline_list_look_up(struct stacks_conf *conf,
				    struct options *options);

#endif /* DMCOMMIT_OFFLINE_LIST_H */
