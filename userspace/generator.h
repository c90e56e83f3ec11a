/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dmcommit under the name dmcommit-generator: what systemd.generator(7) asks for.
 */
#ifndef DMCOMMIT_GENERATOR_H
#define DMCOMMIT_GENERATOR_H

#include "exit_code.h"
#include "core/environment.h"

/* Is this the name of a generator that we were called by? */
bool generator_is_meant(const char *name);

/*
 * Units for all of stacks.conf(5), into the directory that is the first argument.
 * Behind the three that systemd gives there may be another file in its place.
 */
enum exit_code generator_run(int argc, char **argv);

#endif /* DMCOMMIT_GENERATOR_H */
