/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commands, each in a file of its name.  All say on stderr what went wrong
 * before they return anything but EXIT_DONE.
 */
#ifndef DMCOMMIT_COMMANDS_H
#define DMCOMMIT_COMMANDS_H

#include "options.h"

enum exit_code command_format(const struct options *options);
enum exit_code command_attach(const struct options *options);
enum exit_code command_detach(const struct options *options);
enum exit_code command_create(const struct options *options);
enum exit_code command_up(const struct options *options);
enum exit_code command_down(const struct options *options);
enum exit_code command_delete(const struct options *options);
enum exit_code command_clone(const struct options *options);
enum exit_code command_resize(const struct options *options);
enum exit_code command_grow(const struct options *options);
enum exit_code command_snapshot(const struct options *options);
enum exit_code command_drop(const struct options *options);
enum exit_code command_pin(const struct options *options);
enum exit_code command_unpin(const struct options *options);
enum exit_code command_empty(const struct options *options);
enum exit_code command_start(const struct options *options);
enum exit_code command_stream(const struct options *options);
enum exit_code command_status(const struct options *options);
enum exit_code command_layers(const struct options *options);
enum exit_code command_list(const struct options *options);
enum exit_code command_tree(const struct options *options);
enum exit_code command_map(const struct options *options);
enum exit_code command_wait(const struct options *options);
enum exit_code command_pause(const struct options *options);
enum exit_code command_resume(const struct options *options);
enum exit_code command_cancel(const struct options *options);
enum exit_code command_speed(const struct options *options);
enum exit_code command_set(const struct options *options);
enum exit_code command_monitor(const struct options *options);
enum exit_code command_check(const struct options *options);
enum exit_code command_dump(const struct options *options);
enum exit_code command_restore(const struct options *options);

#endif /* DMCOMMIT_COMMANDS_H */
