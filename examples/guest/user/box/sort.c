// SPDX-License-Identifier: GPL-2.0 OR MIT
/* sort */
#include "box.h"

static int numeric, reverse, unique;
static char **lines;
static int n_lines;

static int sort_file(int fd, const char *name)
{
	struct reader r;
	char *line;

	reader_init(&r, fd);
	while ((line = read_line(&r, NULL))) {
		if (!(n_lines & (n_lines + 1)))
			lines = heap_grow(lines, n_lines * sizeof(*lines),
					  (n_lines * 2 + 1) * sizeof(*lines));
		lines[n_lines++] = heap_strdup(line);
	}
	if (r.error) {
		SET_ERRNO(r.error);
		warn(name);
	}
	reader_free(&r);
	return r.error != 0;
}

static int compare(const char *a, const char *b)
{
	int order = 0;

	if (numeric) {
		long long x = strtoll(a, NULL, 10), y = strtoll(b, NULL, 10);

		order = (x > y) - (x < y);
	}
	if (!order)
		order = strcmp(a, b);
	return reverse ? -order : order;
}

/* Merge sort of v[0..n), stable; tmp has room for n. */
static void merge_sort(char **v, char **tmp, int n)
{
	int half = n / 2, i = 0, j = half, k = 0;

	if (n < 2)
		return;
	merge_sort(v, tmp, half);
	merge_sort(v + half, tmp, n - half);
	memcpy(tmp, v, n * sizeof(*v));
	while (i < half && j < n)
		v[k++] = compare(tmp[j], tmp[i]) < 0 ? tmp[j++] : tmp[i++];
	while (i < half)
		v[k++] = tmp[i++];
	while (j < n)
		v[k++] = tmp[j++];
}

int sort_main(int argc, char **argv)
{
	int at = 1, option, status;

	while ((option = next_option(argc, argv, "nru", &at)) >= 0) {
		switch (option) {
		case 'n': numeric = 1; break;
		case 'r': reverse = 1; break;
		case 'u': unique = 1; break;
		default: return 2;
		}
	}
	status = each_file(argc, argv, at, sort_file);
	merge_sort(lines, heap_alloc((n_lines + 1) * sizeof(*lines)), n_lines);
	for (int i = 0; i < n_lines; i++)
		if (!unique || !i || compare(lines[i - 1], lines[i]))
			puts(lines[i]);
	return status;
}
