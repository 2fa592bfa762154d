// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Patterns with *, ? and [...].  A backslash makes the next character plain;
 * expansion puts one before every quoted character that would be special.
 */
#include "sh.h"

int has_magic(const char *p)
{
	for (; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (*p == '*' || *p == '?' || *p == '[')
			return 1;
	}
	return 0;
}

char *unescape(char *pattern)
{
	char *to = pattern, *from;

	for (from = pattern; *from; from++) {
		if (*from == '\\' && from[1])
			from++;
		*to++ = *from;
	}
	*to = 0;
	return pattern;
}

/* At "[": does it match c?  *end is set behind the closing bracket, NULL: there is none. */
static int match_class(const char *p, char c, const char **end)
{
	int negate = 0, found = 0, first = 1;

	p++;
	if (*p == '!' || *p == '^') {
		negate = 1;
		p++;
	}
	for (; *p && (*p != ']' || first); first = 0) {
		char low, high;

		if (*p == '\\' && p[1])
			p++;
		low = high = *p++;
		if (*p == '-' && p[1] && p[1] != ']') {
			p++;
			if (*p == '\\' && p[1])
				p++;
			high = *p++;
		}
		if (c >= low && c <= high)
			found = 1;
	}
	*end = *p ? p + 1 : NULL;
	return found != negate;
}

int match(const char *p, const char *s)
{
	const char *star = NULL, *star_s = NULL, *end;

	for (;;) {
		int ok;

		if (*p == '*') {
			star = ++p;
			star_s = s;
			continue;
		}
		if (!*s && !*p)
			return 1;
		if (*p == '?') {
			ok = *s != 0;
			end = p + 1;
		} else if (*p == '[') {
			ok = match_class(p, *s, &end) && *s;
			if (!end) {		/* a plain bracket */
				ok = *s == '[';
				end = p + 1;
			}
		} else {
			if (*p == '\\' && p[1])
				p++;
			ok = *p && *p == *s;
			end = p + 1;
		}
		if (ok) {
			p = end;
			s++;
			continue;
		}
		/* Let the last star take one more character. */
		if (!star || !*star_s)
			return 0;
		p = star;
		s = ++star_s;
	}
}


static void sort_names(char **v, int n)
{
	for (int i = 1; i < n; i++) {
		char *s = v[i];
		int j = i;

		for (; j && strcmp(v[j - 1], s) > 0; j--)
			v[j] = v[j - 1];
		v[j] = s;
	}
}

/* Paths that begin with `done` (NULL or "dir/") and match `rest`. */
static int glob_at(const char *done, const char *rest, struct fields *out)
{
	const char *slash = rest;
	struct linux_dirent64 *d;
	char *component, *path;
	int found = 0, first = out->n, fd;
	char buf[1024];
	size_t len;
	long n;

	if (stack_is_low())
		return 0;
	while (*slash && *slash != '/')
		slash += *slash == '\\' && slash[1] ? 2 : 1;
	component = arena_strndup(out->arena, rest, slash - rest);
	len = strlen(done) + strlen(component) + 2;
	if (!has_magic(component)) {
		struct statx st;

		path = arena_alloc(out->arena, len);
		snprintf(path, len, "%s%s%s", done, unescape(component), *slash ? "/" : "");
		if (*slash)
			return glob_at(path, slash + 1, out);
		if (statx_path(path, 1, &st) < 0)	/* "dir/" must be one */
			return 0;
		add_field(out, path);
		return 1;
	}
	fd = open(*done ? done : ".", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return 0;
	while ((n = getdents64(fd, (void *)buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n; at += d->d_reclen) {
			d = (void *)(buf + at);
			if (d->d_name[0] == '.' && component[0] != '.')
				continue;
			if (!match(component, d->d_name))
				continue;
			len = strlen(done) + strlen(d->d_name) + 2;
			path = arena_alloc(out->arena, len);
			snprintf(path, len, "%s%s%s", done, d->d_name, *slash ? "/" : "");
			if (*slash) {
				found += glob_at(path, slash + 1, out);
			} else {
				add_field(out, path);
				found++;
			}
		}
	}
	close(fd);
	if (found)
		sort_names(out->v + first, out->n - first);
	return found;
}

int glob(const char *pattern, struct fields *out)
{
	return glob_at("", pattern, out);
}
