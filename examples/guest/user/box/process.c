// SPDX-License-Identifier: GPL-2.0 OR MIT
/* kill, pwd, tty */
#include "box.h"

static const char signal_names[][7] = {
	"", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV",
	"USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU",
	"URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
};

/* A signal's number from its name, with or without SIG, or number; -1: unknown. */
static int signal_number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (end != s)
		return *end || n < 0 || n > 64 ? -1 : (int)n;
	if (!strncmp(s, "SIG", 3))
		s += 3;
	for (unsigned int i = 1; i < ARRAY_SIZE(signal_names); i++)
		if (!strcmp(signal_names[i], s))
			return i;
	return -1;
}

int kill_main(int argc, char **argv)
{
	int sig = SIGTERM, i = 1, status = 0;

	if (argc > 1 && !strcmp(argv[1], "-l")) {
		for (unsigned int n = 1; n < ARRAY_SIZE(signal_names); n++)
			printf("%2u %-7s%s", n, signal_names[n], n % 8 ? "" : "\n");
		putchar('\n');
		return 0;
	}
	if (argc > 1 && argv[1][0] == '-' && argv[1][1]) {
		const char *name = argv[1] + 1;

		i = 2;
		if (!strcmp(name, "s") && argc > 2)
			name = argv[i++];
		sig = signal_number(name);
		if (sig < 0) {
			warnx("%s: no such signal", name);
			return 1;
		}
	}
	if (i >= argc) {
		warnx("usage: kill [-SIGNAL] PID...");
		return 2;
	}
	for (; i < argc; i++) {
		char *end;
		long pid = strtol(argv[i], &end, 10);	/* number() would end the shell */

		if (end == argv[i] || *end) {
			SET_ERRNO(EINVAL);
			pid = 0;
		}
		if (!pid || kill(pid, sig) < 0) {
			warn(argv[i]);
			status = 1;
		}
	}
	return status;
}

int tty_main(int argc, char **argv)
{
	char path[64];
	ssize_t n = is_tty(0) ? readlink("/proc/self/fd/0", path, sizeof(path)) : 0;

	if (n <= 0) {
		puts("not a tty");
		return 1;
	}
	printf("%.*s\n", (int)n, path);
	return 0;
}

int pwd_main(int argc, char **argv)
{
	char path[1024];

	if (!getcwd(path, sizeof(path))) {
		warn("getcwd");
		return 1;
	}
	puts(path);
	return 0;
}
