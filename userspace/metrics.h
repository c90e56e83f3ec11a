/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything as Prometheus reads it: the text format, as a file for node_exporter's
 * textfile collector.
 */
#ifndef DMCOMMIT_METRICS_H
#define DMCOMMIT_METRICS_H

#include "inventory.h"

/* What does not answer is left out; the first such thing is the code. */
enum exit_code metrics_print(const struct inventory *inventory);

#endif /* DMCOMMIT_METRICS_H */
