// SPDX-License-Identifier: GPL-2.0 OR MIT
/* ps: what /proc says of every process, or with -T of every thread */
#include "box.h"

#define CLOCKS_PER_SEC 100	/* USER_HZ, the unit of times in /proc */

/* The n-th field after the name in a stat line (3: the state). */
static const char *field(const char *after_name, int n)
{
	const char *p = after_name;

	for (int i = 3; i < n && *p; i++) {
		while (*p && *p != ' ')
			p++;
		while (*p == ' ')
			p++;
	}
	return p;
}

static void print_task(const char *path)
{
	char *open_bracket, *close_bracket;
	const char *rest;
	struct text t;
	long ticks;

	if (read_file(path, &t) < 0)
		return;			/* it has gone meanwhile */
	open_bracket = strchr(t.p, '(');
	close_bracket = strrchr(t.p, ')');
	if (open_bracket && close_bracket) {
		*close_bracket = 0;
		rest = close_bracket + 2;
		ticks = atol(field(rest, 14)) + atol(field(rest, 15));
		printf("%5d %5d %c   %3d %3ld.%02ld %s\n", atoi(t.p), atoi(field(rest, 4)),
		       *rest, atoi(field(rest, 39)), ticks / CLOCKS_PER_SEC,
		       ticks % CLOCKS_PER_SEC, open_bracket + 1);
	}
	text_free(&t);
}

static int next_number(int fd, char *buf, size_t size, int *at, int *n)
{
	struct linux_dirent64 *d;

	for (;;) {
		if (*at >= *n) {
			*n = getdents64(fd, (void *)buf, size);
			*at = 0;
			if (*n <= 0)
				return 0;
		}
		d = (void *)(buf + *at);
		*at += d->d_reclen;
		if (isdigit(d->d_name[0]))
			return atoi(d->d_name);
	}
}

static void print_threads(int pid)
{
	char path[48], buf[512];
	int fd, at = 0, n = 0, tid;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	while (fd >= 0 && (tid = next_number(fd, buf, sizeof(buf), &at, &n))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
		print_task(path);
	}
	if (fd >= 0)
		close(fd);
}

int ps_main(int argc, char **argv)
{
	int threads = argc > 1 && !strcmp(argv[1], "-T"), fd, at = 0, n = 0, pid;
	char path[32], buf[1024];

	fd = open("/proc", O_RDONLY | O_DIRECTORY);
	if (fd < 0) {
		warn("/proc");
		return 1;
	}
	puts("  PID  PPID S   CPU   TIME COMMAND");
	while ((pid = next_number(fd, buf, sizeof(buf), &at, &n))) {
		if (threads) {
			print_threads(pid);
			continue;
		}
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		print_task(path);
	}
	return 0;
}
