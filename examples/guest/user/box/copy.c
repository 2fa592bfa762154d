// SPDX-License-Identifier: GPL-2.0 OR MIT
/* cp mv ln */
#include "box.h"

static int is_directory(const char *path)
{
	struct statx st;

	return statx_path(path, 0, &st) == 0 && S_ISDIR(st.stx_mode);
}

static int copy_file(const char *from, const char *to, unsigned int mode)
{
	char buf[4096];
	int in = open(from, O_RDONLY), out;
	ssize_t n = -1;

	if (in < 0) {
		warn(from);
		return 1;
	}
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC, mode & 0777);
	if (out < 0) {
		warn(to);
		close(in);
		return 1;
	}
	while ((n = read(in, buf, sizeof(buf))) > 0) {
		if (write_all(out, buf, n) < 0) {
			warn(to);
			break;
		}
	}
	if (n < 0)
		warn(from);
	close(in);
	close(out);
	return n != 0;
}

struct cp_options {
	int recursive;
	const char *to;		/* where the directory's entries go */
};

static int copy_path(const char *from, const char *to, int recursive);

static int copy_entry(const char *path, const char *name, void *arg)
{
	struct cp_options *o = arg;
	char to[512];

	if (snprintf(to, sizeof(to), "%s/%s", o->to, name) >= (int)sizeof(to)) {
		SET_ERRNO(ENAMETOOLONG);
		warn(to);
		return 1;
	}
	return copy_path(path, to, o->recursive);
}

static int copy_path(const char *from, const char *to, int recursive)
{
	struct cp_options o = { recursive, to };
	struct statx st;
	char target[512];
	ssize_t n;

	if (statx_path(from, recursive, &st) < 0) {
		warn(from);
		return 1;
	}
	if (S_ISDIR(st.stx_mode)) {
		if (!recursive) {
			warnx("%s: is a directory (use -r)", from);
			return 1;
		}
		if (mkdir(to, st.stx_mode & 0777) < 0 && errno != EEXIST) {
			warn(to);
			return 1;
		}
		return each_entry(from, copy_entry, &o) != 0;
	}
	if (S_ISLNK(st.stx_mode)) {
		n = readlink(from, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = 0;
		if (symlink(target, to) == 0)
			return 0;
		warn(to);
		return 1;
	}
	if (S_ISREG(st.stx_mode) || !recursive)
		return copy_file(from, to, st.stx_mode);
	if (mknod(to, st.stx_mode, makedev(st.stx_rdev_major, st.stx_rdev_minor)) < 0) {
		warn(to);
		return 1;
	}
	return 0;
}

/*
 * "op FROM TO" or "op FROM... DIRECTORY": calls fn for each with its full
 * destination.
 */
static int each_destination(int argc, char **argv, int at, int option,
			    int (*fn)(const char *from, const char *to, int option))
{
	const char *last = argv[argc - 1];
	int to_directory, status = 0;
	char to[512];

	if (argc - at < 2) {
		warnx("usage: %s FROM... TO", argv[0]);
		return 2;
	}
	to_directory = is_directory(last);
	if (argc - at > 2 && !to_directory) {
		SET_ERRNO(ENOTDIR);
		warn(last);
		return 1;
	}
	for (; at < argc - 1; at++) {
		if (snprintf(to, sizeof(to), to_directory ? "%s/%s" : "%s", last,
			     base_name(argv[at])) >= (int)sizeof(to)) {
			SET_ERRNO(ENAMETOOLONG);
			warn(to);
			return 1;
		}
		status |= fn(argv[at], to, option);
	}
	return status;
}

int cp_main(int argc, char **argv)
{
	int at = 1, option, recursive = 0;

	while ((option = next_option(argc, argv, "rRa", &at)) >= 0) {
		if (option == '?')
			return 2;
		recursive = 1;
	}
	return each_destination(argc, argv, at, recursive, copy_path);
}

static int move_path(const char *from, const char *to, int option)
{
	if (rename(from, to) == 0)
		return 0;
	if (errno != EXDEV) {
		warn(from);
		return 1;
	}
	return copy_path(from, to, 1) || remove_tree(from);
}

int mv_main(int argc, char **argv)
{
	int at = 1;

	while (next_option(argc, argv, "f", &at) >= 0)
		;
	return each_destination(argc, argv, at, 0, move_path);
}

static int link_path(const char *from, const char *to, int options)
{
	if (options & 2)
		unlink(to);
	if ((options & 1 ? symlink(from, to) : link_at(from, to)) == 0)
		return 0;
	warn(to);
	return 1;
}

int ln_main(int argc, char **argv)
{
	int at = 1, option, options = 0;

	while ((option = next_option(argc, argv, "sf", &at)) >= 0) {
		if (option == '?')
			return 2;
		options |= option == 's' ? 1 : 2;
	}
	return each_destination(argc, argv, at, options, link_path);
}
