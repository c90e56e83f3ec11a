// SPDX-License-Identifier: GPL-2.0
/*
 * dmcommit: makes and looks after dm-cowstack's stores, volumes and commits.
 */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "device_mapper.h"
#include "options.h"

int main(int argc, char **argv)
{
	enum exit_code code;

	/* Which characters can be printed; numbers stay as programs read them. */
	setlocale(LC_CTYPE, "");
	code = options_run(argc, argv);
	mapper_exit();
	/* What did not get out was not done. */
	if ((fflush(stdout) || ferror(stdout)) && !code)
		code = fail(EXIT_FAILED, "standard output: %s",
			    strerror(errno));
	return code;
}
