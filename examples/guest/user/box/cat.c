// SPDX-License-Identifier: GPL-2.0 OR MIT
/* cat, echo */
#include "box.h"

static int cat_file(int fd, const char *name)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (write_all(1, buf, n) < 0) {
			if (errno == EPIPE)
				exit(1);
			warn("write");
			return 1;
		}
	}
	if (n < 0)
		warn(name);
	return n < 0;
}

int cat_main(int argc, char **argv)
{
	return each_file(argc, argv, 1, cat_file);
}

int echo_main(int argc, char **argv)
{
	int newline = 1, first = 1;

	if (argc > 1 && !strcmp(argv[1], "-n")) {
		newline = 0;
		first = 2;
	}
	for (int i = first; i < argc; i++) {
		if (i > first)
			putchar(' ');
		put(argv[i]);
	}
	if (newline)
		putchar('\n');
	return 0;
}
