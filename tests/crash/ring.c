// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>

#include "mapper.h"
#include "oracle.h"
#include "ring.h"

enum {
	RING_VOLUME = VOLUMES + 1,
	FIRST_SECTORS = 4096,
	MORE_SECTORS = 8,
};

static struct {
	pthread_t thread;
	bool stop;
	/* The thread's own while it runs. */
	u64 acknowledged;		/* sectors */
	u64 asked_for;
	u64 grown;
} ring;

void ring_reset(void)
{
	ring.acknowledged = FIRST_SECTORS;
	ring.asked_for = FIRST_SECTORS;
}

int ring_create(void)
{
	char message[64];
	int error;

	snprintf(message, sizeof(message), "create_volume %u %u ring",
		 RING_VOLUME, FIRST_SECTORS);
	error = mapper_message("store", message);
	/* It may be there, from before a cut. */
	return error == -EEXIST ? 0 : error;
}

static bool find_size(char *text, u64 *sectors)
{
	unsigned long long size;
	unsigned int id;
	char *line;

	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "%u %*s %llu", &id, &size) == 2 &&
		    id == RING_VOLUME) {
			*sectors = size;
			return true;
		}
	}
	return false;
}

int ring_check(void)
{
	char text[1024];
	u64 seen = 0;

	if (mapper_ask("store", "volumes", text, sizeof(text)))
		return -EIO;
	if (!find_size(text, &seen))
		oracle_report("lost volume", "the one that grows is not there");
	else if (seen < ring.acknowledged || seen > ring.asked_for)
		oracle_report("lost change of a volume",
			      "it has %llu sectors, not %llu to %llu",
			      (unsigned long long)seen,
			      (unsigned long long)ring.acknowledged,
			      (unsigned long long)ring.asked_for);
	ring.acknowledged = seen;
	ring.asked_for = seen;
	return 0;
}

static void *ring_thread(void *argument)
{
	char message[64];
	int error;

	while (!READ_ONCE(ring.stop) && power_is_on()) {
		ring.asked_for = ring.acknowledged + MORE_SECTORS;
		snprintf(message, sizeof(message), "resize_volume %u %llu",
			 RING_VOLUME, (unsigned long long)ring.asked_for);
		error = mapper_message("store", message);
		if (error) {
			if (power_is_on())
				oracle_report("a message failed without a cut",
					      "resize_volume: %s",
					      strerror(-error));
			break;
		}
		ring.acknowledged = ring.asked_for;
		ring.grown++;
	}
	return NULL;
}

void ring_start(void)
{
	ring.stop = false;
	if (pthread_create(&ring.thread, NULL, ring_thread, NULL)) {
		perror("ring");
		exit(1);
	}
}

void ring_stop(void)
{
	WRITE_ONCE(ring.stop, true);
	pthread_join(ring.thread, NULL);
}

u64 ring_grown(void)
{
	return ring.grown;
}
