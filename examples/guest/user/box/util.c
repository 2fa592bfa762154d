// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Small things that several programs use; see box.h. */
#include "box.h"

char *option_value;

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int next_option(int argc, char **argv, const char *allowed, int *at)
{
	static const char *rest;	/* letters left in the current argument */
	const char *found;
	char c;

	if (!rest || !*rest) {
		if (*at >= argc || argv[*at][0] != '-' || !argv[*at][1])
			return -1;
		rest = argv[(*at)++] + 1;
		if (!strcmp(rest, "-")) {
			rest = NULL;
			return -1;
		}
	}
	c = *rest++;
	found = c == ':' ? NULL : strchr(allowed, c);
	if (!found) {
		warnx("unknown option -%c", c);
		return '?';
	}
	if (found[1] == ':') {
		if (!*rest && *at >= argc) {
			warnx("option -%c needs a value", c);
			return '?';
		}
		option_value = *rest ? (char *)rest : argv[(*at)++];
		rest = NULL;
	}
	return c;
}

long long number(const char *s)
{
	char *end;
	long long v = strtoll(s, &end, 0);

	if (end == s || *end) {
		warnx("%s: not a number", s);
		exit(2);
	}
	return v;
}

long long seconds_ns(const char *s)
{
	long long ns = 0, unit = NSEC_PER_SEC;
	const char *p = s;

	while (isdigit(*p))
		ns = ns * 10 + *p++ - '0';
	ns *= NSEC_PER_SEC;
	if (*p == '.')
		while (isdigit(*++p))
			ns += (*p - '0') * (unit /= 10);
	if (*p || p == s) {
		warnx("%s: not a time in seconds", s);
		exit(2);
	}
	return ns;
}

int each_file(int argc, char **argv, int first, int (*fn)(int fd, const char *name))
{
	int status = 0;

	if (first >= argc)
		return fn(0, "-");
	for (int i = first; i < argc; i++) {
		int fd = strcmp(argv[i], "-") ? open(argv[i], O_RDONLY) : 0;

		if (fd < 0) {
			warn(argv[i]);
			status = 1;
			continue;
		}
		if (fn(fd, argv[i]))
			status = 1;
		if (fd)
			close(fd);
	}
	return status;
}

int read_file(const char *path, struct text *t)
{
	int fd = open(path, O_RDONLY);
	char buf[512];
	ssize_t n;

	*t = (struct text){ 0 };
	if (fd < 0)
		return -1;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		text_add(t, buf, n);
	close(fd);
	if (n == 0 && t->p)
		return 0;
	if (n == 0) {
		text_puts(t, "");
		return 0;
	}
	text_free(t);
	return -1;
}

int each_entry(const char *dir, int (*fn)(const char *path, const char *name, void *arg),
		      void *arg)
{
	struct text names = { 0 };
	struct linux_dirent64 *d;
	char buf[1024], path[512];
	int fd = open(dir, O_RDONLY | O_DIRECTORY), n, status = 0;

	if (fd < 0) {
		warn(dir);
		return 1;
	}
	/* All names first: fn may remove them. */
	while ((n = getdents64(fd, (void *)buf, sizeof(buf))) > 0) {
		for (int at = 0; at < n; at += d->d_reclen) {
			d = (void *)(buf + at);
			if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
				text_add(&names, d->d_name, strlen(d->d_name) + 1);
		}
	}
	close(fd);
	for (size_t at = 0; at < names.len; at += strlen(names.p + at) + 1) {
		if (snprintf(path, sizeof(path), "%s/%s", dir, names.p + at) >= (int)sizeof(path) ||
		    stack_is_low()) {
			SET_ERRNO(ENAMETOOLONG);
			warn(path);
			status++;
			continue;
		}
		status += fn(path, names.p + at, arg);
	}
	text_free(&names);
	return status;
}
