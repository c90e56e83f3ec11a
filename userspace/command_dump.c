// SPDX-License-Identifier: GPL-2.0
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "dump.h"
#include "store_file.h"

/* What is there goes when the file is made, and a device's content is no file's. */
static enum exit_code check_output(const struct device_file *device,
				   const char *path)
{
	struct stat st;

	if (device_file_is_at(device, path))
		return fail(EXIT_REFUSED,
			    "--output %s is the store itself, which the dump would overwrite; give another file",
			    path);
	if (!stat(path, &st) && S_ISBLK(st.st_mode))
		return fail(EXIT_REFUSED,
			    "--output %s is a block device, whose content the dump would overwrite; give a file",
			    path);
	return EXIT_DONE;
}

static enum exit_code write_dump(struct cowstack_metadata *md,
				 const struct options *options)
{
	struct text_file *file;
	enum exit_code code, closing;
	int error;

	if (!options->output && options->compress && isatty(STDOUT_FILENO))
		return fail(EXIT_USAGE,
			    "a compressed dump is not for a terminal; give --output FILE");
	code = text_file_create(&file, options->output, options->compress);
	if (code)
		return code;
	error = dump_write(md, file);
	if (error)
		code = fail_errno(error, NULL, "cannot dump %s",
				  options->arguments[0]);
	closing = text_file_close(file);
	return code ? code : closing;
}

enum exit_code command_dump(const struct options *options)
{
	const char *path = options->arguments[0];
	struct cowstack_load_report report;
	struct cowstack_metadata md;
	struct store_file *file;
	enum exit_code code = store_file_open(&file, path, DEVICE_READ);

	if (code)
		return code;
	if (options->output)
		code = check_output(store_file_device(file), options->output);
	if (!code)
		code = store_file_load(file, &md, &report);
	if (!code) {
		code = write_dump(&md, options);
		cowstack_metadata_exit(&md);
	}
	store_file_close(file);
	return code;
}
