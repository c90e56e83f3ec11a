/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A gate that I/O passes through, in and out, for the price of a per-CPU count.
 * Closing it waits until all that passed in has come out, while what arrives
 * meanwhile is turned away (and held by the caller).
 */
#ifndef COWSTACK_IO_GATE_H
#define COWSTACK_IO_GATE_H

#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/wait.h>

struct io_gate {
	long __percpu *inside;
	bool closed;
	wait_queue_head_t empty;
	wait_queue_head_t opened;
};

int io_gate_init(struct io_gate *gate);
void io_gate_exit(struct io_gate *gate);

/* Any context.  False: the gate is closed, nothing was counted. */
bool io_gate_enter(struct io_gate *gate);

/* Process context: waits until the gate is open. */
void io_gate_enter_wait(struct io_gate *gate);

/* Any context. */
void io_gate_leave(struct io_gate *gate);

/* Process context, may sleep: closed, and everybody is out, on return. */
void io_gate_close(struct io_gate *gate);
void io_gate_open(struct io_gate *gate);

#endif /* COWSTACK_IO_GATE_H */
