// SPDX-License-Identifier: GPL-2.0 OR MIT
/* head tail wc hexdump seq yes */
#include "box.h"

static long long count;		/* head, tail: lines */

/* -n N or -N; *at is left at the first file. */
static int line_count(int argc, char **argv, int *at)
{
	count = 10;
	*at = 1;
	if (argc > 1 && argv[1][0] == '-' && isdigit(argv[1][1])) {
		count = number(argv[1] + 1);
		*at = 2;
	} else if (next_option(argc, argv, "n:", at) == 'n') {
		count = number(option_value);
	}
	return count >= 0;
}

static int head_file(int fd, const char *name)
{
	struct reader r;
	char *line;

	reader_init(&r, fd);
	for (long long i = 0; i < count && (line = read_line(&r, NULL)); i++)
		puts(line);
	if (r.error) {
		SET_ERRNO(r.error);
		warn(name);
	}
	reader_free(&r);
	return r.error != 0;
}

int head_main(int argc, char **argv)
{
	int at;

	return line_count(argc, argv, &at) ? each_file(argc, argv, at, head_file) : 2;
}

static int tail_file(int fd, const char *name)
{
	char **ring = heap_alloc((count + 1) * sizeof(*ring)), *line;
	long long n = 0, i;
	struct reader r;

	reader_init(&r, fd);
	while (count && (line = read_line(&r, NULL))) {
		heap_free(ring[n % count]);
		ring[n++ % count] = heap_strdup(line);
	}
	for (i = n > count ? n - count : 0; i < n; i++)
		puts(ring[i % count]);
	reader_free(&r);
	return r.error != 0;
}

int tail_main(int argc, char **argv)
{
	int at;

	return line_count(argc, argv, &at) ? each_file(argc, argv, at, tail_file) : 2;
}

/* ---- wc */

struct counts {
	unsigned long long lines, words, bytes;
};

static struct counts total;
static int show_lines, show_words, show_bytes;

static void print_counts(const struct counts *c, const char *name)
{
	if (show_lines)
		printf("%8llu", c->lines);
	if (show_words)
		printf("%8llu", c->words);
	if (show_bytes)
		printf("%8llu", c->bytes);
	printf(strcmp(name, "-") ? " %s\n" : "\n", name);
}

static int wc_file(int fd, const char *name)
{
	struct counts c = { 0, 0, 0 };
	char buf[4096];
	int in_word = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		c.bytes += n;
		for (ssize_t i = 0; i < n; i++) {
			int space = isspace(buf[i]);

			c.lines += buf[i] == '\n';
			c.words += !space && !in_word;
			in_word = !space;
		}
	}
	if (n < 0)
		warn(name);
	print_counts(&c, name);
	total.lines += c.lines;
	total.words += c.words;
	total.bytes += c.bytes;
	return n < 0;
}

int wc_main(int argc, char **argv)
{
	int at = 1, option, status;

	while ((option = next_option(argc, argv, "lwc", &at)) >= 0) {
		switch (option) {
		case 'l': show_lines = 1; break;
		case 'w': show_words = 1; break;
		case 'c': show_bytes = 1; break;
		default: return 2;
		}
	}
	if (!show_lines && !show_words && !show_bytes)
		show_lines = show_words = show_bytes = 1;
	status = each_file(argc, argv, at, wc_file);
	if (argc - at > 1)
		print_counts(&total, "total");
	return status;
}

/* ---- hexdump */

static long long dump_left = -1;

static int hexdump_file(int fd, const char *name)
{
	unsigned char row[16];
	unsigned long at = 0;
	ssize_t n;

	do {
		size_t want = sizeof(row), have = 0;

		if (dump_left >= 0 && dump_left < (long long)want)
			want = dump_left;
		while (have < want && (n = read(fd, row + have, want - have)) > 0)
			have += n;
		if (have) {
			printf("%08lx ", at);
			for (size_t i = 0; i < sizeof(row); i++) {
				if (i < have)
					printf("%s%02x", i == 8 ? "  " : " ", row[i]);
				else
					put(i == 8 ? "    " : "   ");
			}
			put("  |");
			for (size_t i = 0; i < have; i++)
				putchar(isprint(row[i]) ? row[i] : '.');
			put("|\n");
		}
		at += have;
		if (dump_left >= 0)
			dump_left -= have;
		if (have < sizeof(row))
			break;
	} while (1);
	if (at)
		printf("%08lx\n", at);
	return 0;
}

int hexdump_main(int argc, char **argv)
{
	int at = 1, option;

	while ((option = next_option(argc, argv, "Cn:", &at)) >= 0) {
		if (option == '?')
			return 2;
		if (option == 'n')
			dump_left = number(option_value);
	}
	return each_file(argc, argv, at, hexdump_file);
}

/* ---- seq, yes */

int seq_main(int argc, char **argv)
{
	long long first = 1, step = 1, last;

	if (argc < 2 || argc > 4) {
		warnx("usage: seq [FIRST [STEP]] LAST");
		return 2;
	}
	if (argc > 2)
		first = number(argv[1]);
	if (argc > 3)
		step = number(argv[2]);
	last = number(argv[argc - 1]);
	if (!step) {
		warnx("the step is zero");
		return 2;
	}
	for (; step > 0 ? first <= last : first >= last; first += step)
		printf("%lld\n", first);
	return 0;
}

int yes_main(int argc, char **argv)
{
	const char *text = argc > 1 ? argv[1] : "y";

	/* Ends with SIGPIPE, or when writing fails. */
	do {
		for (int i = 0; i < 100; i++)
			puts(text);
	} while (flush() == 0);
	return 1;
}
