/* SPDX-License-Identifier: GPL-2.0 */
/* What libFuzzer calls, and what it offers. */
#ifndef COWSTACK_FUZZ_FUZZ_H
#define COWSTACK_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

enum { FUZZ_MAX_INPUT = 32768 };

/* A target has the first of these, and may have the others. */
int fuzz_one(const uint8_t *data, size_t size)
	__asm__("LLVMFuzzerTestOneInput");
size_t fuzz_mutate(uint8_t *data, size_t size, size_t room, unsigned int seed)
	__asm__("LLVMFuzzerCustomMutator");
size_t fuzz_cross_over(const uint8_t *a, size_t a_size, const uint8_t *b,
		       size_t b_size, uint8_t *data, size_t room,
		       unsigned int seed)
	__asm__("LLVMFuzzerCustomCrossOver");

/* The mutations that libFuzzer has itself. */
size_t fuzzer_mutate(uint8_t *data, size_t size, size_t room)
	__asm__("LLVMFuzzerMutate");

/*
 * Says what is wrong, also where libFuzzer was told to close standard error, and ends
 * the program as a crash does.
 */
void fuzz_fail(const char *what);

#endif /* COWSTACK_FUZZ_FUZZ_H */
