/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What frozen layers show, where that is known, and so what a base must hold once
 * one of them has been committed into it.
 */
#ifndef COWSTACK_CRASH_LAYER_CONTENT_H
#define COWSTACK_CRASH_LAYER_CONTENT_H

#include "core/environment.h"

void layer_content_reset(void);

/* No write is under way: layer @id, the top, shows what the volume does now. */
void layer_content_note(unsigned int volume, u32 id);
void layer_content_forget(unsigned int volume, u32 id);
/* A commit has ended: @to shows what @from did. */
void layer_content_moved(unsigned int volume, u32 from, u32 to);

/* A commit of @top into the base runs. */
void layer_content_begun(unsigned int volume, u32 top);
/* The highest of those since the base was last valid. */
u32 layer_content_highest_begun(unsigned int volume);
/* … has ended. */
void layer_content_now_in_base(unsigned int volume, u32 top);
void layer_content_base_is_unknown(unsigned int volume);
/*
 * Nobody knows whether a commit of @top into @base has ended or never was: the base,
 * if it is layer 0, holds what it held or what @top shows.
 */
void layer_content_in_doubt(unsigned int volume, u32 top, u32 base);

/* The base alone, if it is said to be valid: is it that? */
void layer_content_check_base(unsigned int volume, bool valid);
u64 layer_content_bases_checked(void);
/* Commits of which it was not known, until the base was looked at. */
u64 layer_content_ended_unseen(void);

#endif /* COWSTACK_CRASH_LAYER_CONTENT_H */
