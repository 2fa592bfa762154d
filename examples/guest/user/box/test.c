// SPDX-License-Identifier: GPL-2.0 OR MIT
/* test and [ */
#include "box.h"

struct input {
	char **v;
	int at, n;
	int error;
};

static int any(struct input *in);

static const char *peek(struct input *in, int ahead)
{
	return in->at + ahead < in->n ? in->v[in->at + ahead] : NULL;
}

static int file_test(char what, const char *path)
{
	struct statx st;

	if (what == 'r' || what == 'w' || what == 'x')
		return access_path(path, what == 'r' ? R_OK : what == 'w' ? W_OK : X_OK) == 0;
	if (what == 't')
		return is_tty(atoi(path));
	if (statx_path(path, what == 'L' || what == 'h', &st) < 0)
		return 0;
	switch (what) {
	case 'e': return 1;
	case 'f': return S_ISREG(st.stx_mode);
	case 'd': return S_ISDIR(st.stx_mode);
	case 'c': return S_ISCHR(st.stx_mode);
	case 'b': return S_ISBLK(st.stx_mode);
	case 'p': return S_ISFIFO(st.stx_mode);
	case 'S': return S_ISSOCK(st.stx_mode);
	case 's': return st.stx_size > 0;
	default: return S_ISLNK(st.stx_mode);
	}
}

static long long integer(struct input *in, const char *s)
{
	char *end;
	long long v = strtoll(s, &end, 10);

	if (end == s || *end) {
		warnx("%s: not a number", s);
		in->error = 1;
	}
	return v;
}

/* Result of a binary operator, -1: there is none of that name. */
static int compare(struct input *in, const char *a, const char *op, const char *b)
{
	if (!strcmp(op, "=") || !strcmp(op, "=="))
		return !strcmp(a, b);
	if (!strcmp(op, "!="))
		return strcmp(a, b) != 0;
	if (!strcmp(op, "-eq"))
		return integer(in, a) == integer(in, b);
	if (!strcmp(op, "-ne"))
		return integer(in, a) != integer(in, b);
	if (!strcmp(op, "-lt"))
		return integer(in, a) < integer(in, b);
	if (!strcmp(op, "-le"))
		return integer(in, a) <= integer(in, b);
	if (!strcmp(op, "-gt"))
		return integer(in, a) > integer(in, b);
	if (!strcmp(op, "-ge"))
		return integer(in, a) >= integer(in, b);
	return -1;
}

static int primary(struct input *in)
{
	const char *a = peek(in, 0), *op = peek(in, 1), *b = peek(in, 2);
	int result;

	if (!a) {
		in->error = 1;
		return 0;
	}
	if (op && b) {
		result = compare(in, a, op, b);
		if (result >= 0) {
			in->at += 3;
			return result;
		}
	}
	if (!strcmp(a, "!") && op) {
		in->at++;
		return !primary(in);
	}
	if (!strcmp(a, "(") && op) {
		in->at++;
		result = any(in);
		a = peek(in, 0);
		if (!a || strcmp(a, ")"))
			in->error = 1;
		in->at++;
		return result;
	}
	if (a[0] == '-' && a[1] && !a[2] && op) {
		if (a[1] == 'n' || a[1] == 'z') {
			in->at += 2;
			return (a[1] == 'n') == (*op != 0);
		}
		if (strchr("efdcbpSsLhrwxt", a[1])) {
			in->at += 2;
			return file_test(a[1], op);
		}
	}
	in->at++;
	return *a != 0;
}

static int all(struct input *in)
{
	int result = primary(in);

	while (!in->error && peek(in, 0) && !strcmp(peek(in, 0), "-a")) {
		in->at++;
		result &= primary(in);
	}
	return result;
}

static int any(struct input *in)
{
	int result = all(in);

	while (!in->error && peek(in, 0) && !strcmp(peek(in, 0), "-o")) {
		in->at++;
		result |= all(in);
	}
	return result;
}

int test_main(int argc, char **argv)
{
	struct input in = { argv, 1, argc, 0 };
	int result;

	if (!strcmp(base_name(argv[0]), "[")) {
		if (strcmp(argv[argc - 1], "]")) {
			warnx("[: no closing ]");
			return 2;
		}
		in.n--;
	}
	if (in.at >= in.n)
		return 1;
	result = any(&in);
	if (in.error || in.at != in.n) {
		warnx("test: cannot understand the expression");
		return 2;
	}
	return !result;
}

int bracket_main(int argc, char **argv)
{
	return test_main(argc, argv);
}
