// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/load.h"
#include "job_place.h"
#include "mapper.h"
#include "phase.h"
#include "ring.h"
#include "stacks.h"

struct disk store_disk;
struct disk base_disks[VOLUMES];
const char *const stack_paths[VOLUMES] = { "/dev/mapper/v1", "/dev/mapper/v2" };

static const char *const stack_names[VOLUMES] = { "v1", "v2" };

/* With two levels: these lie over the halves of the master, in a store "low". */
#define lower_disk base_disks[0]
#define master_disk base_disks[1]
static const char *const lower_names[VOLUMES] = { "l1", "l2" };
static const char *const lower_paths[VOLUMES] = { "/dev/mapper/l1",
						  "/dev/mapper/l2" };
static const char *const half_names[VOLUMES] = { "half1", "half2" };

/* What a base must hold, alone. */
struct base_content {
	bool known;
	u32 versions[VOLUME_SECTORS];
};

static struct {
	bool two_levels;
	bool lower_created;		/* the volumes of the lower store */
	/* What the half of the master must hold once the lower commit has ended. */
	u8 *lower_content[VOLUMES];
	bool lower_known[VOLUMES];
	u64 masters_checked;
	u64 store_sectors;
	char on_full[64];
	const char *features[VOLUMES];
	bool created;			/* the volumes */
	struct base_content coming[VOLUMES];	/* with the job under way */
	struct base_content now[VOLUMES];	/* while it is valid */
	u64 bases_checked;
	u64 commits;
	u64 drops;
} stacks;

/* --- disks --- */

static void must(int error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-error));
	exit(1);
}

static void open_lower_disks(const unsigned int *blocks)
{
	unsigned int v;

	must(disk_open(&lower_disk, "hdd", 1, STORE_DISK_SECTORS, blocks[1]), "hdd");
	must(disk_open(&master_disk, "master", 2, VOLUMES * VOLUME_SECTORS, blocks[2]),
	     "master");
	for (v = 0; v < VOLUMES; v++)
		stacks.lower_content[v] =
			aligned_alloc(4096, VOLUME_SECTORS * DISK_SECTOR);
}

void stacks_open_disks(bool two_levels, const unsigned int *blocks)
{
	stacks.two_levels = two_levels;
	must(disk_open(&store_disk, "ssd", 0, STORE_DISK_SECTORS, blocks[0]), "ssd");
	if (two_levels) {
		open_lower_disks(blocks);
		return;
	}
	must(disk_open(&base_disks[0], "hdd1", 1, VOLUME_SECTORS, blocks[1]), "hdd1");
	must(disk_open(&base_disks[1], "hdd2", 2, VOLUME_SECTORS, blocks[2]), "hdd2");
}

unsigned int stacks_block(unsigned int volume)
{
	unsigned int block = max(store_disk.block, base_disks[volume].block);

	if (stacks.two_levels)
		block = max(block, max(lower_disk.block, master_disk.block));
	return block * DISK_SECTOR;
}

void stacks_close_disks(void)
{
	disk_close(&store_disk);
	disk_close(&base_disks[0]);
	disk_close(&base_disks[1]);
}

static void fill_bases(void)
{
	u32 version = oracle_reset();
	u8 sector[DISK_SECTOR];
	unsigned int v;
	u32 i;

	for (v = 0; v < VOLUMES; v++)
		for (i = 0; i < VOLUME_SECTORS; i++) {
			pattern_make(sector, v, i, version);
			if (stacks.two_levels)
				disk_poke(&master_disk, v * VOLUME_SECTORS + i,
					  sector, 1);
			else
				disk_poke(&base_disks[v], i, sector, 1);
		}
}

static void write_superblock(struct disk *disk,
			     const struct cowstack_superblock *superblock,
			     u64 place)
{
	struct disk_superblock block;

	cowstack_superblock_encode(superblock, place, &block);
	disk_poke(disk, place * COWSTACK_BLOCK_SECTORS, &block,
		  COWSTACK_BLOCK_SECTORS);
}

static void format_disk(struct disk *disk, u32 chunk_sectors, u64 data_sectors,
			const char *name, struct cowstack_geometry *g)
{
	static const u8 zeroes[COWSTACK_BLOCK_SIZE];
	static u8 uuid[COWSTACK_UUID_SIZE] = "crash test";
	struct cowstack_superblock superblock;
	u64 sectors = COWSTACK_MIN_METADATA_BLOCKS * COWSTACK_BLOCK_SECTORS +
		      data_sectors;
	u64 block;

	uuid[COWSTACK_UUID_SIZE - 1]++;
	must(cowstack_geometry_init(g, sectors, chunk_sectors), "geometry");
	cowstack_format(&superblock, g, uuid, name, 1);
	for (block = 0; block < COWSTACK_MIN_METADATA_BLOCKS; block++)
		disk_poke(disk, block * COWSTACK_BLOCK_SECTORS, zeroes,
			  COWSTACK_BLOCK_SECTORS);
	write_superblock(disk, &superblock, COWSTACK_SUPERBLOCK_A);
	write_superblock(disk, &superblock, COWSTACK_SUPERBLOCK_B);
}

void stacks_format_lower(u32 chunk_sectors)
{
	struct cowstack_geometry g;

	format_disk(&lower_disk, chunk_sectors,
		    STORE_DISK_SECTORS - COWSTACK_MIN_METADATA_BLOCKS *
						 COWSTACK_BLOCK_SECTORS,
		    "lower", &g);
	phase_set_lower_geometry(&g);
	stacks.lower_created = false;
	memset(stacks.lower_known, 0, sizeof(stacks.lower_known));
}

void stacks_format(u32 chunk_sectors, u64 data_sectors, const char *on_full)
{
	struct cowstack_geometry g;

	format_disk(&store_disk, chunk_sectors, data_sectors, "crash", &g);
	phase_set_geometry(&g);
	job_place_set_geometry(&g);
	fill_bases();
	stacks.store_sectors = STORE_DISK_SECTORS;
	snprintf(stacks.on_full, sizeof(stacks.on_full), "%s", on_full);
	stacks.created = false;
	ring_reset();
	memset(stacks.coming, 0, sizeof(stacks.coming));
	memset(stacks.now, 0, sizeof(stacks.now));
}

/* --- up and down --- */

static int create_volumes(const char *store, const char *const names[])
{
	char message[64];
	unsigned int v;
	int error;

	for (v = 0; v < VOLUMES; v++) {
		snprintf(message, sizeof(message), "create_volume %u %u %s",
			 v + 1, VOLUME_SECTORS, names[v]);
		error = mapper_message(store, message);
		/* It may be there, from before a cut. */
		if (error && error != -EEXIST)
			return error;
	}
	return 0;
}

static int create_lower_stack(unsigned int v)
{
	char parameters[128];
	int error;

	snprintf(parameters, sizeof(parameters), "%s %u", master_disk.path,
		 v * VOLUME_SECTORS);
	error = mapper_create(half_names[v], VOLUME_SECTORS, "linear",
			      parameters);
	if (error)
		return error;
	snprintf(parameters, sizeof(parameters),
		 "/dev/mapper/%s /dev/mapper/low %u", half_names[v], v + 1);
	return mapper_create(lower_names[v], VOLUME_SECTORS, "cowstack",
			     parameters);
}

static int create_lower_devices(void)
{
	unsigned int v;
	int error = mapper_create("low", STORE_DISK_SECTORS, "cowstore",
				  lower_disk.path);

	if (!error && !stacks.lower_created)
		error = create_volumes("low", lower_names);
	stacks.lower_created |= !error;
	for (v = 0; v < VOLUMES && !error; v++)
		error = create_lower_stack(v);
	return error;
}

static const char *base_path(unsigned int volume)
{
	return stacks.two_levels ? lower_paths[volume] :
				   base_disks[volume].path;
}

static void describe_stack(unsigned int volume, char *parameters, size_t bytes)
{
	snprintf(parameters, bytes, "%s /dev/mapper/store %u%s",
		 base_path(volume), volume + 1, stacks.features[volume] ?: "");
}

static int create_devices(void)
{
	char parameters[128];
	unsigned int v;
	int error = stacks.two_levels ? create_lower_devices() : 0;

	if (error)
		return error;
	snprintf(parameters, sizeof(parameters), "%s %s", store_disk.path,
		 stacks.on_full);
	error = mapper_create("store", stacks.store_sectors, "cowstore",
			      parameters);
	if (!error && !stacks.created)
		error = create_volumes("store", stack_names) ?: ring_create();
	stacks.created |= !error;
	for (v = 0; v < VOLUMES && !error; v++) {
		describe_stack(v, parameters, sizeof(parameters));
		error = mapper_create(stack_names[v], VOLUME_SECTORS,
				      "cowstack", parameters);
	}
	return error;
}

int stacks_reload(unsigned int volume)
{
	char parameters[128];

	describe_stack(volume, parameters, sizeof(parameters));
	return mapper_reload(stack_names[volume], VOLUME_SECTORS, "cowstack",
			     parameters);
}

void stacks_set_features(unsigned int volume, const char *features)
{
	stacks.features[volume] = features;
}

int stacks_try_bring_up(void)
{
	int error;

	phase_set_recovering(true);
	job_place_set_recovering(true);
	error = create_devices();
	phase_set_recovering(false);
	job_place_set_recovering(false);
	return error;
}

int stacks_bring_up(void)
{
	int error = stacks_try_bring_up();

	if (error && power_is_on() && !disk_has_erred())
		oracle_report("bring-up failed", "%s", strerror(-error));
	return error;
}

static int remove_all(const char *const names[])
{
	unsigned int v;
	int error = 0;

	for (v = 0; v < VOLUMES && !error; v++)
		error = mapper_remove(names[v]);
	return error;
}

/* Upper before lower, stacks before their stores. */
void stacks_take_down(void)
{
	int error = remove_all(stack_names);

	if (!error)
		error = mapper_remove("store");
	if (!error && stacks.two_levels) {
		error = remove_all(lower_names);
		if (!error)
			error = mapper_remove("low");
		if (!error)
			error = remove_all(half_names);
	}
	if (error)
		oracle_report("a device cannot be removed", "%s",
			      strerror(-error));
}

static int read_device(const char *path, u8 *data)
{
	size_t bytes = (size_t)VOLUME_SECTORS * DISK_SECTOR, done = 0;
	int fd = open(path, O_RDONLY | O_DIRECT);
	ssize_t n = 1;

	while (fd >= 0 && done < bytes && n > 0) {
		n = pread(fd, data + done, min(bytes - done, (size_t)1 << 20),
			  done);
		if (n > 0)
			done += n;
	}
	if (fd >= 0)
		close(fd);
	if (done == bytes)
		return 0;
	if (power_is_on() && !disk_has_erred())
		oracle_report("I/O error without a cut", "%s cannot be read",
			      path);
	return -EIO;
}

int stacks_check(void)
{
	static u8 *data;
	unsigned int v;

	if (!data)
		data = aligned_alloc(4096, VOLUME_SECTORS * DISK_SECTOR);
	for (v = 0; v < VOLUMES; v++) {
		if (read_device(stack_paths[v], data))
			return -EIO;
		oracle_check_volume(v, data);
	}
	oracle_forget_operations();
	return ring_check();
}

int stacks_check_at(u32 time)
{
	static u8 *data;
	unsigned int v;

	if (!data)
		data = aligned_alloc(4096, VOLUME_SECTORS * DISK_SECTOR);
	for (v = 0; v < VOLUMES; v++) {
		if (read_device(stack_paths[v], data))
			return -EIO;
		oracle_check_volume_at(v, data, time);
	}
	return 0;
}

int stacks_check_now(void)
{
	static u8 *data;
	unsigned int v;
	int error;

	if (!data)
		data = aligned_alloc(4096, VOLUME_SECTORS * DISK_SECTOR);
	for (v = 0; v < VOLUMES; v++) {
		if (!oracle_begin_read(v, 0, VOLUME_SECTORS))
			return -EBUSY;
		error = read_device(stack_paths[v], data);
		oracle_end_read(v, 0, VOLUME_SECTORS, error ? NULL : data);
		if (error)
			return error;
	}
	return 0;
}

/* --- status --- */

static int view_stack(const char *name, struct stack_view *view)
{
	char text[1024], mode[16], base_alone[16], state[16], kind[16];
	unsigned long long used, done, total;
	unsigned int layers;
	int error = mapper_status(name, text, sizeof(text));

	if (error)
		return error;
	if (sscanf(text, "%15s %u %*u %llu %*u %15s %15s %15s %*u %*u %llu/%llu %*u %d",
		   mode, &layers, &used, base_alone, state, kind, &done,
		   &total, &view->error) != 9)
		return -EPROTO;
	view->layers = layers;
	view->used = used;
	view->idle = !strcmp(state, "idle");
	view->running = !strcmp(state, "running");
	view->completed = !strcmp(state, "completed");
	view->stopped = !strcmp(state, "stopped");
	view->valid = !strcmp(base_alone, "valid");
	view->done = done;
	view->total = total;
	return 0;
}

int stacks_view(unsigned int volume, struct stack_view *view)
{
	return view_stack(stack_names[volume], view);
}

static u64 find_value(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? strtoull(p + strlen(key), NULL, 10) : 0;
}

int stacks_view_store(struct store_view *view)
{
	char text[1024];
	unsigned long long used, total;
	int error = mapper_status("store", text, sizeof(text));

	if (error)
		return error;
	if (sscanf(text, "%*s %*u %llu/%llu", &used, &total) != 2)
		return -EPROTO;
	view->used = used;
	view->total = total;
	view->position = find_value(text, " journal_position ");
	view->checkpoints = find_value(text, " checkpoints ");
	view->steps = find_value(text, " steps ");
	view->parked = find_value(text, " parked ");
	view->writable = !strncmp(text, "rw ", 3);
	return 0;
}

/* --- messages --- */

static int note_error(int error, const char *what)
{
	if (error && error != -ENOSPC && power_is_on() && !disk_has_erred())
		oracle_report("a message failed without a cut", "%s: %s", what,
			      strerror(-error));
	return error;
}

int stacks_snapshot(unsigned int volume)
{
	u32 clock = oracle_clock();
	int error = mapper_message(stack_names[volume], "snapshot");

	/* Durable when answered, and so is what it holds. */
	if (!error)
		oracle_flushed(volume, clock);
	return note_error(error, "snapshot");
}

/* What has just ended may count as running for a moment more. */
static int send_patiently(const char *name, const char *message)
{
	int tries, error = -EBUSY;

	for (tries = 0; tries < 40 && error == -EBUSY; tries++) {
		if (tries)
			usleep(5000);
		error = mapper_message(name, message);
	}
	return error;
}

int stacks_commit(unsigned int volume, bool quiet, const char *options)
{
	struct base_content *coming = &stacks.coming[volume];
	char message[64];
	int error;

	coming->known = quiet;
	/* Unknown until the job has begun, or has not. */
	stacks.now[volume].known = false;
	if (quiet)
		oracle_copy(volume, coming->versions);
	snprintf(message, sizeof(message), "commit start%s", options);
	error = send_patiently(stack_names[volume], message);
	if (error)
		coming->known = false;
	else
		stacks.commits++;
	return note_error(error, "commit start");
}

int stacks_commit_again(unsigned int volume)
{
	return note_error(send_patiently(stack_names[volume], "commit start"),
			  "commit start again");
}

void stacks_cancel(unsigned int volume)
{
	stacks.coming[volume].known = false;
	stacks.now[volume].known = false;
	/* It may just have ended. */
	mapper_message(stack_names[volume], "commit cancel");
}

void stacks_commit_lower(unsigned int volume)
{
	int error;

	/* Nothing but a commit from above writes there. */
	stacks.lower_known[volume] = false;
	if (read_device(lower_paths[volume], stacks.lower_content[volume]))
		return;
	error = send_patiently(lower_names[volume], "commit start");
	stacks.lower_known[volume] = !error;
	note_error(error, "commit start below");
}

bool stacks_check_lower(unsigned int volume)
{
	struct stack_view view;

	if (view_stack(lower_names[volume], &view) || view.running)
		return true;
	if (view.stopped && power_is_on())
		oracle_report("a lower commit stopped without a cut",
			      "volume %u", volume + 1);
	if (!view.completed || !view.valid || !stacks.lower_known[volume])
		return false;
	stacks.lower_known[volume] = false;
	stacks.masters_checked++;
	if (memcmp(disk_peek(&master_disk, volume * VOLUME_SECTORS),
		   stacks.lower_content[volume], VOLUME_SECTORS * DISK_SECTOR))
		oracle_report("the master alone is not the lower stack",
			      "volume %u", volume + 1);
	return false;
}

void stacks_drop_empty(unsigned int volume)
{
	char text[8192], message[32], kind[16];
	unsigned int id, layer = 0;
	unsigned long long used;
	char *line;

	if (mapper_ask(stack_names[volume], "layers", text, sizeof(text)))
		return;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (sscanf(line, "%u %*s %*u %llu %*u %*s %15s", &id, &used,
			   kind) == 3 && !used && !strcmp(kind, "frozen"))
			layer = id;
	if (!layer)
		return;
	snprintf(message, sizeof(message), "drop %u", layer);
	/* It may hold zeroes, which count as nothing used. */
	if (!mapper_message(stack_names[volume], message))
		stacks.drops++;
}

static void check_base(unsigned int volume, const struct base_content *content)
{
	static u8 *lower;
	const u8 *data = disk_peek(&base_disks[volume], 0);

	if (!content->known)
		return;
	if (stacks.two_levels) {
		if (!lower)
			lower = aligned_alloc(4096,
					      VOLUME_SECTORS * DISK_SECTOR);
		if (read_device(lower_paths[volume], lower))
			return;
		data = lower;
	}
	oracle_check_base(volume, data, content->versions);
	stacks.bases_checked++;
}

void stacks_check_commit(unsigned int volume, const struct stack_view *view,
			 bool after_cut)
{
	struct base_content *coming = &stacks.coming[volume];
	struct base_content *now = &stacks.now[volume];

	if (view->stopped && power_is_on() && !disk_has_erred())
		oracle_report("a commit stopped without a cut", "volume %u",
			      volume + 1);
	/* One that was answered is recorded: what does not go on has ended. */
	if (after_cut && view->idle && coming->known && !view->valid) {
		oracle_report("base not valid after a commit and a cut",
			      "volume %u", volume + 1);
	} else if ((view->completed || (after_cut && view->idle)) &&
		   view->valid && coming->known) {
		*now = *coming;
		coming->known = false;
		check_base(volume, now);
	} else if (after_cut && view->valid && !view->running &&
		   !coming->known) {
		check_base(volume, now);
	} else if (view->completed && coming->known && power_is_on()) {
		oracle_report("base not valid after a commit", "volume %u",
			      volume + 1);
	}
}

u64 stacks_bases_checked(void)
{
	return stacks.bases_checked;
}

u64 stacks_masters_checked(void)
{
	return stacks.masters_checked;
}

u64 stacks_commits(void)
{
	return stacks.commits;
}

u64 stacks_drops(void)
{
	return stacks.drops;
}
