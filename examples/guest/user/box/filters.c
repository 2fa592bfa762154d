// SPDX-License-Identifier: GPL-2.0 OR MIT
/* tr cut dd */
#include "box.h"

/* ---- tr */

/* The characters of a set such as "a-z\n"; their number. */
static int expand_set(const char *s, unsigned char *out)
{
	int n = 0;

	while (*s && n < 256) {
		unsigned char c = *s++;

		if (c == '\\' && *s) {
			c = *s++;
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c == '0' ? 0 : c;
		}
		if (s[0] == '-' && s[1]) {
			unsigned int last = (unsigned char)s[1];

			for (unsigned int k = c; k <= last && n < 256; k++)
				out[n++] = k;
			s += 2;
		} else {
			out[n++] = c;
		}
	}
	return n;
}

int tr_main(int argc, char **argv)
{
	int at = 1, delete = next_option(argc, argv, "d", &at) == 'd', n, to = 0;
	unsigned char from_set[256], to_set[256], map[256], drop[256] = { 0 };
	unsigned char buf[1024];
	ssize_t len;

	if (argc - at != 2 - delete) {
		warnx("usage: tr FROM TO, tr -d SET");
		return 2;
	}
	for (int i = 0; i < 256; i++)
		map[i] = i;
	n = expand_set(argv[at], from_set);
	if (!delete)
		to = expand_set(argv[at + 1], to_set);
	for (int i = 0; i < n; i++) {
		if (delete)
			drop[from_set[i]] = 1;
		else if (to)
			map[from_set[i]] = to_set[MIN(i, to - 1)];
	}
	while ((len = read(0, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < len; i++)
			if (!drop[buf[i]])
				putchar(map[buf[i]]);
	return 0;
}

/* ---- cut */

static const char *ranges;	/* "1", "2-4", "3-", "-2", with commas */
static char delimiter = '\t';
static int by_field;

static int is_selected(long n)
{
	const char *p = ranges;
	char *end;

	while (*p) {
		long first = *p == '-' ? 1 : strtol(p, &end, 10), last = first;

		p = *p == '-' ? p : end;
		if (*p == '-') {
			p++;
			last = isdigit(*p) ? strtol(p, &end, 10) : LONG_MAX;
			p = isdigit(*p) ? end : p;
		}
		if (n >= first && n <= last)
			return 1;
		if (*p++ != ',')
			return 0;
	}
	return 0;
}

static int cut_file(int fd, const char *name)
{
	struct reader r;
	char *line, *p;

	reader_init(&r, fd);
	while ((line = read_line(&r, NULL))) {
		long n = 1;
		int first = 1;

		if (!by_field) {
			for (p = line; *p; p++, n++)
				if (is_selected(n))
					putchar(*p);
		} else if (!strchr(line, delimiter)) {
			put(line);
		} else {
			for (p = line; p; n++) {
				char *end = strchr(p, delimiter);

				if (end)
					*end++ = 0;
				if (is_selected(n)) {
					if (!first)
						putchar(delimiter);
					put(p);
					first = 0;
				}
				p = end;
			}
		}
		putchar('\n');
	}
	reader_free(&r);
	return 0;
}

int cut_main(int argc, char **argv)
{
	int at = 1, option;

	while ((option = next_option(argc, argv, "c:f:d:", &at)) >= 0) {
		if (option == '?')
			return 2;
		if (option == 'd') {
			delimiter = *option_value;
		} else {
			ranges = option_value;
			by_field = option == 'f';
		}
	}
	if (!ranges) {
		warnx("usage: cut -c LIST [FILE...], cut -f LIST [-d CHARACTER] [FILE...]");
		return 2;
	}
	return each_file(argc, argv, at, cut_file);
}

/* ---- dd */

/* A number with a k, M or G behind it. */
static int64_t size_of(const char *s)
{
	char *end;
	int64_t v = strtoll(s, &end, 0);
	int shift = *end == 'k' || *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

	if (end == s || v < 0 || end[!!shift]) {
		warnx("%s: not a size", s);
		exit(2);
	}
	return v << shift;
}

int dd_main(int argc, char **argv)
{
	const char *in = NULL, *out = NULL;
	int64_t block = 512, count = -1, skip = 0, seek = 0, total = 0, records = 0;
	int from = 0, to = 1, flags = O_TRUNC;
	char *buf;

	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (value)
			*value++ = 0;
		if (value && !strcmp(argv[i], "if"))
			in = value;
		else if (value && !strcmp(argv[i], "of"))
			out = value;
		else if (value && !strcmp(argv[i], "bs"))
			block = size_of(value);
		else if (value && !strcmp(argv[i], "count"))
			count = size_of(value);
		else if (value && !strcmp(argv[i], "skip"))
			skip = size_of(value);
		else if (value && !strcmp(argv[i], "seek"))
			seek = size_of(value);
		else if (value && !strcmp(argv[i], "conv") && !strcmp(value, "notrunc"))
			flags = 0;
		else {
			warnx("usage: dd [if=FILE] [of=FILE] [bs=N] [count=N] [skip=N] [seek=N] "
			      "[conv=notrunc]");
			return 2;
		}
	}
	if (block < 1 || block > 1 << 24) {
		warnx("bs: 1 to 16M");
		return 2;
	}
	if (in && (from = open(in, O_RDONLY)) < 0) {
		warn(in);
		return 1;
	}
	if (out && (to = open(out, O_WRONLY | O_CREAT | (seek ? 0 : flags), 0666)) < 0) {
		warn(out);
		return 1;
	}
	buf = heap_alloc(block);
	if ((skip && lseek64(from, skip * block, SEEK_SET) < 0) ||
	    (seek && lseek64(to, seek * block, SEEK_SET) < 0)) {
		warn("seek");
		return 1;
	}
	while (records != count) {
		ssize_t n = read(from, buf, block);

		if (n < 0)
			warn(in ? in : "stdin");
		if (n <= 0)
			break;
		if (write_all(to, buf, n) < 0) {
			warn(out ? out : "stdout");
			return 1;
		}
		total += n;
		records++;
	}
	dprintf(2, "%lld bytes in %lld records\n", total, records);
	return 0;
}
