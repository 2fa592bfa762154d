// SPDX-License-Identifier: GPL-2.0 OR MIT
/* sleep time taskset env date clear stty true false printf */
#include "box.h"

int true_main(int argc, char **argv)
{
	return 0;
}

int false_main(int argc, char **argv)
{
	return 1;
}

int sleep_main(int argc, char **argv)
{
	if (argc != 2) {
		warnx("usage: sleep SECONDS");
		return 2;
	}
	if (sleep_ns(seconds_ns(argv[1])) == 0)
		return 0;
	warn("sleep");
	return 1;
}

static void print_time(const char *what, long long us)
{
	dprintf(2, "%s %lld.%06lld\n", what, us / 1000000, us % 1000000);
}

int time_main(int argc, char **argv)
{
	int64_t start = now_ns(CLOCK_MONOTONIC);
	struct rusage usage;
	int pid, status;

	if (argc < 2) {
		warnx("usage: time COMMAND [ARGUMENT...]");
		return 2;
	}
	pid = spawnvp(argv + 1, NULL);
	if (pid < 0) {
		warn(argv[1]);
		return 126;
	}
	while (wait_child(pid, &status, 0, &usage) < 0 && errno == EINTR)
		;
	print_time("real", (now_ns(CLOCK_MONOTONIC) - start) / 1000);
	print_time("user", usage.ru_utime.tv_sec * 1000000LL + usage.ru_utime.tv_usec);
	print_time("sys ", usage.ru_stime.tv_sec * 1000000LL + usage.ru_stime.tv_usec);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int taskset_main(int argc, char **argv)
{
	unsigned long mask[1];
	char *end;

	if (argc < 3) {
		warnx("usage: taskset HEX-MASK COMMAND [ARGUMENT...]");
		return 2;
	}
	mask[0] = strtoul(argv[1], &end, 16);
	if (*end) {
		warnx("%s: not a mask", argv[1]);
		return 2;
	}
	if (__sysret((int)my_syscall3(__NR_sched_setaffinity, 0, sizeof(mask), mask)) < 0) {
		warn(argv[1]);
		return 1;
	}
	execvpe(argv + 2, environ);
	warn(argv[2]);
	return errno == ENOENT ? 127 : 126;
}

int env_main(int argc, char **argv)
{
	int at = 1, n = 0, all = 0;
	char **env, **e;

	for (e = environ; *e; e++)
		all++;
	env = heap_alloc((all + argc) * sizeof(*env));
	if (at < argc && !strcmp(argv[at], "-i"))
		at++;
	else
		for (e = environ; *e; e++)
			env[n++] = *e;
	for (char *equals; at < argc && (equals = strchr(argv[at], '=')); at++) {
		size_t len = equals + 1 - argv[at];
		int i = 0;

		while (i < n && strncmp(env[i], argv[at], len))
			i++;
		env[i] = argv[at];
		n += i == n;
	}
	if (at == argc) {
		for (int i = 0; i < n; i++)
			puts(env[i]);
		return 0;
	}
	execvpe(argv + at, env);
	warn(argv[at]);
	return errno == ENOENT ? 127 : 126;
}

/* Days since 1970 to a date of the Gregorian calendar. */
static void civil_date(long long days, long long *year, int *month, int *day)
{
	long long era, y;
	int of_era, of_year, m;

	days += 719468;			/* from 1 March of the year 0 */
	era = (days >= 0 ? days : days - 146096) / 146097;
	of_era = days - era * 146097;
	y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * y + y / 4 - y / 100);
	m = (5 * of_year + 2) / 153;
	*day = of_year - (153 * m + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = y + era * 400 + (*month <= 2);
}

int date_main(int argc, char **argv)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const char weekdays[] = "ThuFriSatSunMonTueWed";
	const char *format = "%a %b %d %T UTC %Y";
	int64_t ns = now_ns(CLOCK_REALTIME), s = ns / NSEC_PER_SEC;
	long long year, days = s / 86400;
	int month, day, h = s / 3600 % 24, m = s / 60 % 60, sec = s % 60;

	if (argc > 1 && argv[1][0] == '+')
		format = argv[1] + 1;
	civil_date(days, &year, &month, &day);
	for (; *format; format++) {
		if (*format != '%' || !format[1]) {
			putchar(*format);
			continue;
		}
		switch (*++format) {
		case 's': printf("%lld", s); break;
		case 'N': printf("%09lld", ns % NSEC_PER_SEC); break;
		case 'Y': printf("%lld", year); break;
		case 'm': printf("%02d", month); break;
		case 'd': printf("%02d", day); break;
		case 'H': printf("%02d", h); break;
		case 'M': printf("%02d", m); break;
		case 'S': printf("%02d", sec); break;
		case 'T': printf("%02d:%02d:%02d", h, m, sec); break;
		case 'F': printf("%lld-%02d-%02d", year, month, day); break;
		case 'a': printf("%.3s", weekdays + days % 7 * 3); break;
		case 'b': printf("%.3s", names + (month - 1) * 3); break;
		default: putchar(*format);
		}
	}
	putchar('\n');
	return 0;
}

int clear_main(int argc, char **argv)
{
	put("\033[H\033[2J");
	return 0;
}

int stty_main(int argc, char **argv)
{
	static const struct { char name[8]; unsigned int flag; } flags[] = {
		{ "echo", ECHO }, { "icanon", ICANON }, { "isig", ISIG },
	};
	struct winsize size;
	struct termios t;

	if (argc == 2 && !strcmp(argv[1], "size")) {
		if (ioctl(0, TIOCGWINSZ, &size) < 0) {
			warn("stdin");
			return 1;
		}
		printf("%u %u\n", size.ws_row, size.ws_col);
		return 0;
	}
	if (ioctl(0, TCGETS, &t) < 0) {
		warn("stdin");
		return 1;
	}
	for (int i = 1; i < argc; i++) {
		int off = argv[i][0] == '-';
		unsigned int k = 0;

		while (k < ARRAY_SIZE(flags) && strcmp(flags[k].name, argv[i] + off))
			k++;
		if (k == ARRAY_SIZE(flags)) {
			warnx("%s: not one of size, [-]echo, [-]icanon, [-]isig", argv[i]);
			return 2;
		}
		t.c_lflag = off ? t.c_lflag & ~flags[k].flag : t.c_lflag | flags[k].flag;
	}
	if (argc > 1 && ioctl(0, TCSETS, &t) < 0) {
		warn("stdin");
		return 1;
	}
	for (unsigned int k = 0; argc == 1 && k < ARRAY_SIZE(flags); k++)
		printf("%s%s ", t.c_lflag & flags[k].flag ? "" : "-", flags[k].name);
	if (argc == 1)
		putchar('\n');
	return 0;
}

/* Prints the escape after a backslash; returns its length. */
static int put_escape(const char *s)
{
	switch (*s) {
	case 'n': putchar('\n'); return 1;
	case 't': putchar('\t'); return 1;
	case 'r': putchar('\r'); return 1;
	case '\\': putchar('\\'); return 1;
	case 'e': putchar(27); return 1;
	case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': {
		int v = 0, n = 0;

		while (n < 3 && s[n] >= '0' && s[n] <= '7')
			v = v * 8 + s[n++] - '0';
		putchar(v);
		return n;
	}
	}
	putchar('\\');
	return 0;
}

/* One conversion from `f` (at the '%'); returns behind it. */
static const char *put_conversion(const char *f, const char *arg)
{
	char spec[24];
	size_t n = 0;

	spec[n++] = *f++;
	while (*f && strchr("-+0123456789.", *f) && n < sizeof(spec) - 5)
		spec[n++] = *f++;
	if (*f == 's' || *f == 'c') {
		char one[2] = { *arg, 0 };

		spec[n++] = 's';
		spec[n] = 0;
		printf(spec, *f == 'c' ? one : arg);
	} else if (*f && strchr("dixXuo", *f)) {
		spec[n++] = 'l';
		spec[n++] = 'l';
		spec[n++] = *f;
		spec[n] = 0;
		printf(spec, *arg ? number(arg) : 0);
	} else {
		put("%");
		return f;
	}
	return f + 1;
}

int printf_main(int argc, char **argv)
{
	int at = 2, used;

	if (argc < 2) {
		warnx("usage: printf FORMAT [ARGUMENT...]");
		return 2;
	}
	do {
		used = at;
		for (const char *f = argv[1]; *f;) {
			if (*f == '\\' && f[1]) {
				f++;
				f += put_escape(f);
			} else if (f[0] == '%' && f[1] == '%') {
				putchar('%');
				f += 2;
			} else if (*f == '%') {
				f = put_conversion(f, at < argc ? argv[at] : "");
				at++;
			} else {
				putchar(*f++);
			}
		}
	} while (at < argc && at > used);	/* the format again for what is left */
	return 0;
}
