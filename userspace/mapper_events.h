/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's one place to wait for changes of all mapped devices.
 */
#ifndef DMCOMMIT_MAPPER_EVENTS_H
#define DMCOMMIT_MAPPER_EVENTS_H

/* A file to poll, or -errno; from its opening on events count. */
int mapper_events_open(void);

/*
 * From here on an event makes the file readable.  What is asked of devices
 * after this is no older, so that nothing falls between the two.
 */
int mapper_events_arm(int fd);

#endif /* DMCOMMIT_MAPPER_EVENTS_H */
