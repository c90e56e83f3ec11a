// SPDX-License-Identifier: GPL-2.0
#include "command_table.h"
#include "commands.h"

#define BASE_OPTIONS (ALLOWED(BASE) | ALLOWED(STORE) | ALLOWED(SET) | \
		      ALLOWED(ACCEPT_BASE) | ALLOWED(READ_ONLY_BASE))
#define START_OPTIONS (ALLOWED(TOP) | ALLOWED(BASE_LAYER) | ALLOWED(SPEED) | \
		       ALLOWED(UNTIL) | ALLOWED(RETAIN) | ALLOWED(VERIFY) | \
		       ALLOWED(NO_YIELD) | ALLOWED(ON_ERROR) | \
		       ALLOWED(FREEZE) | ALLOWED(WAIT) | \
		       ALLOWED(DRY_RUN) | ALLOWED(OFFLINE) | \
		       ALLOWED(OFFLINE_STORE) | ALLOWED(CONFIG) | \
		       ALLOWED(JSON))
#define STREAM_OPTIONS (ALLOWED(STREAM_TOP) | ALLOWED(STREAM_BASE) | \
			ALLOWED(SPEED) | ALLOWED(NO_YIELD) | \
			ALLOWED(ON_ERROR) | ALLOWED(WAIT) | ALLOWED(JSON))

const struct option_entry option_table[OPTION_COUNT] = {
#define VALUE(id, name, value, field, help) \
	[OPTION_##id] = { name, value, offsetof(struct options, field), help }
#define FLAG(id, name, field, help) \
	[OPTION_##id] = { name, NULL, offsetof(struct options, field), help }
	VALUE(NAME, "name", "NAME", name, "what it shall be called"),
	VALUE(CHUNK_SIZE, "chunk-size", "SIZE", chunk_size,
	      "4K to 1M, a power of two (default 64K)"),
	FLAG(FORCE, "force", force, "whatever the device holds"),
	FLAG(DELETE_FORCE, "force", force,
	     "also one whose base, alone, is no state it ever had"),
	VALUE(SET, "set", "FEATURE=VALUE", sets, "may be given several times"),
	VALUE(BASE, "base", "DEV", base, "the device with the image"),
	VALUE(STORE, "store", "STORE|DEV", store,
	      "a store, attached now if it is not"),
	VALUE(SIZE, "size", "SIZE", size, "of the volume (default: the base's)"),
	FLAG(ACCEPT_BASE, "accept-base", accept_base,
	     "take a base that is not the one recorded"),
	FLAG(READ_ONLY_BASE, "read-only-base", read_only_base,
	     "never write to the base"),
	FLAG(FREEZE, "freeze", freeze,
	     "hold the mounted file system for the snapshot"),
	FLAG(PIN, "pin", pin, "no commit shall take the snapshot away"),
	VALUE(LAYER, "layer", "LAYER", layer,
	      "a frozen one (default: the newest)"),
	VALUE(TOP, "top", "LAYER", top,
	      "highest layer to commit (default: a new snapshot)"),
	VALUE(BASE_LAYER, "base", "LAYER", base,
	      "commit into this layer, 0: the base (default: feature commit_base)"),
	VALUE(STREAM_TOP, "top", "LAYER", top,
	      "pull into this layer (default: the top)"),
	VALUE(STREAM_BASE, "base", "LAYER|none", base,
	      "pull what lies above this layer (default: all), none: the base too"),
	VALUE(SPEED, "speed", "RATE", speed,
	      "bytes per second, 0: as fast as it goes"),
	VALUE(UNTIL, "until", "TIME", until, "pause then: HH:MM, or with a date"),
	FLAG(RETAIN, "retain", retain, "keep what was committed as clean copies"),
	FLAG(VERIFY, "verify", verify, "read back what was written"),
	FLAG(NO_YIELD, "no-yield", no_yield, "do not keep back for users' I/O"),
	VALUE(ON_ERROR, "on-error", "stop|report|ignore", on_error,
	      "what an I/O error does (default: stop)"),
	FLAG(WAIT, "wait", wait, "until the job has ended"),
	FLAG(DRY_RUN, "dry-run", dry_run,
	     "change nothing; say what would be written, how long it would take"),
	FLAG(WATCH, "watch", watch, "again each second"),
	FLAG(ERRORS, "errors", errors,
	     "all places that a commit could not move, in sectors"),
	VALUE(SVG, "svg", "FILE", svg, "draw into a file instead"),
	VALUE(PARTS, "parts", "N", parts,
	      "to cut the volume into (default: as wide as the terminal)"),
	VALUE(OUTPUT, "output", "FILE", output, "where it goes (default: standard output)"),
	FLAG(COMPRESS, "compress", compress, "as gzip does"),
	FLAG(ALL, "all", all, "all that stacks.conf names"),
	VALUE(CONFIG, "config", "FILE", config,
	      "in place of /etc/dmcommit/stacks.conf"),
	FLAG(INITRAMFS, "initramfs", initramfs,
	     "of all, those that are for the initramfs"),
	FLAG(METRICS, "metrics", metrics, "everything, as Prometheus reads it"),
	VALUE(EXEC, "exec", "FILE", exec,
	      "a program to run when somebody should look"),
	VALUE(FROM, "from", "FILE", from,
	      "a dump, compressed or not, or a repair's backup; -: standard input"),
	FLAG(REPAIR, "repair", repair, "mend what is damaged; it asks before it writes"),
	FLAG(YES, "yes", yes, "do not ask"),
	VALUE(BACKUP, "backup", "FILE", backup,
	      "where what is changed is kept (default: a new file here)"),
	FLAG(OFFLINE, "offline", offline,
	     "of a volume that is not up, by devices of stacks.conf or --store and --base"),
	VALUE(OFFLINE_STORE, "store", "DEV", store,
	      "with --offline, the store's device; --base may be the base's then"),
	FLAG(JSON, "json", json, "for programs"),
	[OPTION_HELP] = { "help", NULL, 0, "this text" },
	[OPTION_VERSION] = { "version", NULL, 0, "the tool's version" },
};

const struct group_entry group_table[GROUP_COUNT] = {
	[GROUP_STORE] = { "store", "stores" },
	[GROUP_VOLUME] = { "volume", "volumes" },
	[GROUP_LAYER] = { "layer", "layers" },
	[GROUP_COMMIT] = { "commit", "commits and streams" },
	[GROUP_STATUS] = { "status", "looking at it" },
	[GROUP_METADATA] = { "metadata", "metadata, while nothing is up" },
};

/* Those of a group stand together, as help prints them in this order. */
const struct command command_table[] = {
	{ "format", GROUP_STORE, "DEV",
	  ALLOWED(NAME) | ALLOWED(CHUNK_SIZE) | ALLOWED(FORCE), 0, 0,
	  command_format, "write an empty store" },
	{ "attach", GROUP_STORE, "DEV", ALLOWED(SET), 0, 0,
	  command_attach, "bring a store up" },
	{ "detach", GROUP_STORE, "STORE", 0, 0, 0,
	  command_detach, "take a store down" },
	{ "grow", GROUP_STORE, "STORE", 0, 0, 0,
	  command_grow, "use all of a store's device that has grown" },
	{ "set", GROUP_STORE, "VOL|STORE FEATURE=VALUE", 0, 0, 0,
	  command_set, "change a feature" },
	{ "create", GROUP_VOLUME, "VOL",
	  BASE_OPTIONS | ALLOWED(SIZE), ALLOWED(BASE) | ALLOWED(STORE), 0,
	  command_create, "make a volume and bring it up" },
	{ "up", GROUP_VOLUME, "VOL",
	  BASE_OPTIONS | ALLOWED(ALL) | ALLOWED(CONFIG) |
	  ALLOWED(INITRAMFS), 0, ALLOWED(ALL),
	  command_up, "bring a volume up; without --base as stacks.conf says" },
	{ "down", GROUP_VOLUME, "VOL", ALLOWED(ALL) | ALLOWED(CONFIG), 0,
	  ALLOWED(ALL),
	  command_down, "take a volume down, all of it durable" },
	{ "delete", GROUP_VOLUME, "VOL", ALLOWED(DELETE_FORCE), 0, 0,
	  command_delete, "delete a volume that is down, with its layers" },
	{ "clone", GROUP_VOLUME, "VOL NEW", ALLOWED(LAYER), 0, 0,
	  command_clone, "make a second volume on the same frozen layers" },
	{ "resize", GROUP_VOLUME, "VOL SIZE", 0, 0, 0,
	  command_resize, "enlarge a volume, also while it is in use" },
	{ "snapshot", GROUP_LAYER, "VOL",
	  ALLOWED(NAME) | ALLOWED(FREEZE) | ALLOWED(PIN), 0, 0,
	  command_snapshot, "freeze the top layer, put a new one on it" },
	{ "layers", GROUP_LAYER, "VOL", ALLOWED(JSON), 0, 0,
	  command_layers, "the layers of a volume" },
	{ "drop", GROUP_LAYER, "VOL LAYER", 0, 0, 0,
	  command_drop, "let an empty layer leave the chain" },
	{ "pin", GROUP_LAYER, "VOL LAYER", 0, 0, 0,
	  command_pin, "never commit this layer away" },
	{ "unpin", GROUP_LAYER, "VOL LAYER", 0, 0, 0,
	  command_unpin, "let commits take it again" },
	{ "empty", GROUP_LAYER, "VOL LAYER", 0, 0, 0,
	  command_empty, "let go of its clean copies; 0: of the base's" },
	{ "start", GROUP_COMMIT, "VOL", START_OPTIONS, 0, 0,
	  command_start, "commit layers down into the base" },
	{ "stream", GROUP_COMMIT, "VOL", STREAM_OPTIONS, 0, 0,
	  command_stream, "pull lower layers, or the base, up into one" },
	{ "wait", GROUP_COMMIT, "VOL", ALLOWED(JSON), 0, 0,
	  command_wait, "until the volume's job has ended" },
	{ "pause", GROUP_COMMIT, "VOL", 0, 0, 0,
	  command_pause, "hold the job; it can go on, also after a boot" },
	{ "resume", GROUP_COMMIT, "VOL", 0, 0, 0,
	  command_resume, "let a job go on that was paused" },
	{ "cancel", GROUP_COMMIT, "VOL", 0, 0, 0,
	  command_cancel, "forget the job; what the volume shows stays" },
	{ "speed", GROUP_COMMIT, "VOL RATE", 0, 0, 0,
	  command_speed, "limit the job, 0: as fast as it goes" },
	{ "status", GROUP_STATUS, "[VOL|STORE]",
	  ALLOWED(JSON) | ALLOWED(WATCH) | ALLOWED(ERRORS) | ALLOWED(METRICS),
	  0, 0, command_status, "what is going on" },
	{ "list", GROUP_STATUS, "", ALLOWED(JSON), 0, 0,
	  command_list, "all attached stores and their volumes" },
	{ "tree", GROUP_STATUS, "", ALLOWED(JSON), 0, 0,
	  command_tree, "what lies on what: bases, stores, volumes, layers, clones" },
	{ "map", GROUP_STATUS, "VOL",
	  ALLOWED(SVG) | ALLOWED(PARTS) | ALLOWED(WATCH) | ALLOWED(JSON), 0, 0,
	  command_map, "which layer holds what, drawn" },
	{ "monitor", GROUP_STATUS, "", ALLOWED(JSON) | ALLOWED(EXEC), 0, 0,
	  command_monitor, "print each change, until it is ended" },
	{ "check", GROUP_METADATA, "DEV",
	  ALLOWED(REPAIR) | ALLOWED(YES) | ALLOWED(BACKUP) | ALLOWED(NAME) |
	  ALLOWED(JSON), 0, 0,
	  command_check, "check a store's metadata; mend it with --repair" },
	{ "dump", GROUP_METADATA, "DEV", ALLOWED(OUTPUT) | ALLOWED(COMPRESS), 0, 0,
	  command_dump, "print all of a store's metadata as text" },
	{ "restore", GROUP_METADATA, "DEV", ALLOWED(FROM) | ALLOWED(FORCE), ALLOWED(FROM), 0,
	  command_restore, "write a store's metadata as a dump has it" },
};

const size_t command_count = ARRAY_SIZE(command_table);

const struct command *command_find(const char *name)
{
	size_t i;

	for (i = 0; i < command_count; i++)
		if (!strcmp(command_table[i].name, name))
			return &command_table[i];
	return NULL;
}

unsigned int command_arguments(const struct command *command,
			       unsigned int *least)
{
	const char *word = command->arguments;
	unsigned int count = 0;

	*least = 0;
	while (*word) {
		count++;
		*least += *word != '[';
		word += strcspn(word, " ");
		word += strspn(word, " ");
	}
	return count;
}
