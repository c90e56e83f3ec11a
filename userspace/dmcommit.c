// SPDX-License-Identifier: GPL-2.0
/*
 * dmcommit: makes and looks after dm-cowstack's stores, volumes and commits.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <unistd.h>

#include "device_mapper.h"
#include "generator.h"
#include "options.h"

/*
 * A device that is opened must not become the standard output or error of somebody who
 * has closed them, or what is said would be written onto it.  What takes their place
 * can only be used the wrong way round, so that it is noticed.
 */
static void fill_standard_files(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
			_exit(EXIT_FAILED);
}

int main(int argc, char **argv)
{
	enum exit_code code;

	fill_standard_files();
	/* Which characters can be printed; numbers stay as programs read them. */
	setlocale(LC_CTYPE, "");
	if (argc && generator_is_meant(argv[0]))
		return generator_run(argc, argv);
	code = options_run(argc, argv);
	mapper_exit();
	/* What did not get out was not done. */
	if ((fflush(stdout) || ferror(stdout)) && !code)
		code = fail_output(-errno, "standard output");
	return code;
}
