// SPDX-License-Identifier: GPL-2.0
/*
 * usage: press_memory MEBIBYTES PASSES [LOCKED-MEBIBYTES]
 *
 * Takes so much memory, writes all of it in each pass, and looks in the next
 * whether every page holds what was written.  With more than there is, it shows
 * whether swap works.  What is locked besides is taken from everybody for as long:
 * that much less is there to be had.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE = 4096, WORDS = PAGE / sizeof(uint64_t) };

static uint64_t seed_of(uint64_t page, unsigned int pass)
{
	uint64_t n = (page << 8 | pass) * 0x9e3779b97f4a7c15ULL;

	return (n ^ n >> 29) | 1;
}

static void fill(uint64_t *words, uint64_t seed)
{
	uint64_t word = seed;
	unsigned int i;

	for (i = 0; i < WORDS; i++, word += seed)
		words[i] = word;
}

static int holds(const uint64_t *words, uint64_t seed)
{
	uint64_t word = seed;
	unsigned int i;

	for (i = 0; i < WORDS; i++, word += seed)
		if (words[i] != word)
			return 0;
	return 1;
}

static int lock(uint64_t mebibytes)
{
	return mebibytes && mmap(NULL, mebibytes << 20, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED |
					 MAP_POPULATE, -1, 0) == MAP_FAILED;
}

int main(int argc, char **argv)
{
	uint64_t pages, page, wrong = 0;
	unsigned int pass, passes;
	uint64_t *memory;

	if (argc != 3 && argc != 4) {
		fputs("usage: press_memory MEBIBYTES PASSES [LOCKED-MEBIBYTES]\n",
		      stderr);
		return 2;
	}
	if (argc == 4 && lock(strtoull(argv[3], NULL, 10))) {
		perror("mmap");
		return 1;
	}
	pages = strtoull(argv[1], NULL, 10) << 20 >> 12;
	passes = strtoul(argv[2], NULL, 10);
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (pass = 0; pass <= passes; pass++)
		for (page = 0; page < pages; page++) {
			uint64_t *words = memory + page * WORDS;

			if (pass && !holds(words, seed_of(page, pass - 1)) &&
			    wrong++ < 8)
				printf("page %llu is wrong in pass %u\n",
				       (unsigned long long)page, pass);
			if (pass < passes)
				fill(words, seed_of(page, pass));
		}
	printf("%llu pages, %u passes, %llu wrong\n",
	       (unsigned long long)pages, passes, (unsigned long long)wrong);
	return wrong ? 1 : 0;
}
