// SPDX-License-Identifier: GPL-2.0 OR MIT
/* grep */
#include "box.h"

#define MAX_PATTERNS	16

static char *patterns[MAX_PATTERNS];	/* a line matches if one of them does */
static int n_patterns;
static int extended;			/* -E: | + ? are special */
static int invert, ignore_case, fixed, count_only, line_numbers, quiet, with_names;
static long long matches;

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static int same(char a, char b)
{
	return a == b || (ignore_case && lower(a) == lower(b));
}

/* Length of the element of a regular expression at p: a character, '.', \c or [...]. */
static size_t element(const char *p)
{
	const char *q = p + 1;

	if (fixed || (*p != '\\' && *p != '['))
		return 1;
	if (*p == '\\')
		return *q ? 2 : 1;
	q += *q == '^';
	q += *q == ']';
	while (*q && *q != ']')
		q++;
	return *q ? q + 1 - p : 1;
}

static int matches_element(const char *p, size_t n, char c)
{
	const char *q = p + 1, *end = p + n - 1;
	int negate = n > 1 && *p == '[' && *q == '^', found = 0;

	if (!c)
		return 0;
	if (fixed || n == 1)
		return (*p == '.' && !fixed) || same(*p, c);
	if (*p == '\\')
		return same(*q, c);
	for (q += negate; q < end; q++) {
		if (q[1] == '-' && q + 2 < end) {
			found |= c >= q[0] && c <= q[2];
			q += 2;
		} else {
			found |= same(*q, c);
		}
	}
	return found != negate;
}

static int is_quantifier(char c)
{
	return !fixed && (c == '*' || (extended && (c == '+' || c == '?')));
}

/* Regular expressions without groups: . [...] ^ $ * and, extended, + ?; \ before them. */
static int matches_here(const char *p, const char *s)
{
	if (stack_is_low())
		return 0;
	for (;;) {
		size_t n;

		if (!*p)
			return 1;
		if (!fixed && p[0] == '$' && !p[1])
			return !*s;
		n = element(p);
		if (is_quantifier(p[n])) {
			char kind = p[n];

			if (kind == '+' && !matches_element(p, n, *s++))
				return 0;
			do {
				if (matches_here(p + n + 1, s))
					return 1;
			} while (matches_element(p, n, *s) && *s++ && kind != '?');
			return kind == '?' && matches_here(p + n + 1, s);
		}
		if (!matches_element(p, n, *s))
			return 0;
		p += n;
		s++;
	}
}

static int contains_one(const char *s, const char *what)
{
	if (!fixed && *what == '^')
		return matches_here(what + 1, s);
	do {
		if (matches_here(what, s))
			return 1;
	} while (*s++);
	return 0;
}

static int contains(const char *s)
{
	for (int i = 0; i < n_patterns; i++)
		if (contains_one(s, patterns[i]))
			return 1;
	return 0;
}

/* Add a pattern; with -E, its alternatives one by one. */
static void add_pattern(char *p)
{
	while (p) {
		char *end = p;

		while (*end && !(extended && *end == '|'))
			end += fixed ? 1 : element(end);
		if (n_patterns == MAX_PATTERNS) {
			warnx("at most %d patterns", MAX_PATTERNS);
			exit(2);
		}
		patterns[n_patterns++] = p;
		p = *end ? end + 1 : NULL;
		*end = 0;
	}
}

static int grep_file(int fd, const char *name)
{
	long long here = 0, n = 0;
	struct reader r;
	char *line;

	reader_init(&r, fd);
	while ((line = read_line(&r, NULL))) {
		n++;
		if (contains(line) == invert)
			continue;
		here++;
		if (quiet)
			break;
		if (count_only)
			continue;
		if (with_names)
			printf("%s:", name);
		if (line_numbers)
			printf("%lld:", n);
		puts(line);
	}
	if (count_only && !quiet) {
		if (with_names)
			printf("%s:", name);
		printf("%lld\n", here);
	}
	matches += here;
	if (r.error) {
		SET_ERRNO(r.error);
		warn(name);
	}
	reader_free(&r);
	return r.error != 0;
}

int grep_main(int argc, char **argv)
{
	char *given[MAX_PATTERNS];
	int at = 1, option, n = 0;

	while ((option = next_option(argc, argv, "vicnqFEe:", &at)) >= 0) {
		switch (option) {
		case 'v': invert = 1; break;
		case 'i': ignore_case = 1; break;
		case 'c': count_only = 1; break;
		case 'n': line_numbers = 1; break;
		case 'q': quiet = 1; break;
		case 'F': fixed = 1; break;
		case 'E': extended = 1; break;
		case 'e': given[MIN(n, MAX_PATTERNS - 1)] = option_value; n++; break;
		default: return 2;
		}
	}
	if (!n && at >= argc) {
		warnx("usage: grep [-vicnqFE] [-e] PATTERN [FILE...]");
		return 2;
	}
	if (!n)
		given[n++] = argv[at++];
	for (int i = 0; i < MIN(n, MAX_PATTERNS); i++)
		add_pattern(given[i]);
	with_names = argc - at > 1;
	if (each_file(argc, argv, at, grep_file) && !(quiet && matches))
		return 2;
	return matches == 0;
}
