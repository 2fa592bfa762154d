// SPDX-License-Identifier: GPL-2.0 OR MIT
/* mkdir rmdir rm mv cp ln touch chmod tee */
#include "box.h"

/* Make the directories on the way to `path`; its own last component, too. */
static int make_parents(char *path)
{
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = 0;
		if (mkdir(path, 0777) < 0 && errno != EEXIST) {
			warn(path);
			return 1;
		}
		*p = c;
		if (!c)
			return 0;
	}
}

int mkdir_main(int argc, char **argv)
{
	int at = 1, option, parents = 0, status = 0;

	while ((option = next_option(argc, argv, "p", &at)) >= 0) {
		if (option == '?')
			return 2;
		parents = 1;
	}
	for (; at < argc; at++) {
		if (parents) {
			status |= make_parents(argv[at]);
		} else if (mkdir(argv[at], 0777) < 0) {
			warn(argv[at]);
			status = 1;
		}
	}
	return status;
}

int rmdir_main(int argc, char **argv)
{
	int status = 0;

	for (int i = 1; i < argc; i++) {
		if (rmdir(argv[i]) < 0) {
			warn(argv[i]);
			status = 1;
		}
	}
	return status;
}

/* Call fn(path of the entry, arg) for all in a directory; the sum of its results. */
static int each_entry(const char *dir, int (*fn)(const char *path, const char *name, void *arg),
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

struct rm_options {
	int recursive, force;
};

static int remove_path(const char *path, const char *name, void *arg)
{
	struct rm_options *o = arg;
	struct statx st;

	if (statx_path(path, 1, &st) < 0) {
		if (o->force && errno == ENOENT)
			return 0;
		warn(path);
		return 1;
	}
	if (S_ISDIR(st.stx_mode)) {
		if (!o->recursive) {
			SET_ERRNO(EISDIR);
			warn(path);
			return 1;
		}
		if (each_entry(path, remove_path, arg))
			return 1;
		if (rmdir(path) == 0)
			return 0;
	} else if (unlink(path) == 0) {
		return 0;
	}
	warn(path);
	return 1;
}

int rm_main(int argc, char **argv)
{
	struct rm_options o = { 0, 0 };
	int at = 1, option, status = 0;

	while ((option = next_option(argc, argv, "rRf", &at)) >= 0) {
		if (option == '?')
			return 2;
		if (option == 'f')
			o.force = 1;
		else
			o.recursive = 1;
	}
	for (; at < argc; at++)
		status |= remove_path(argv[at], argv[at], &o) != 0;
	return status;
}

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
	struct rm_options o = { 1, 1 };

	if (rename(from, to) == 0)
		return 0;
	if (errno != EXDEV) {
		warn(from);
		return 1;
	}
	return copy_path(from, to, 1) || remove_path(from, from, &o);
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

int touch_main(int argc, char **argv)
{
	int status = 0, fd;

	for (int i = 1; i < argc; i++) {
		if (touch_now(argv[i]) == 0)
			continue;
		fd = errno == ENOENT ? open(argv[i], O_WRONLY | O_CREAT, 0666) : -1;
		if (fd < 0) {
			warn(argv[i]);
			status = 1;
		} else {
			close(fd);
		}
	}
	return status;
}

int chmod_main(int argc, char **argv)
{
	int status = 0;
	char *end;
	long mode;

	if (argc < 3) {
		warnx("usage: chmod OCTAL FILE...");
		return 2;
	}
	mode = strtol(argv[1], &end, 8);
	if (*end) {
		warnx("%s: not an octal mode", argv[1]);
		return 2;
	}
	for (int i = 2; i < argc; i++) {
		if (chmod(argv[i], mode) < 0) {
			warn(argv[i]);
			status = 1;
		}
	}
	return status;
}

int tee_main(int argc, char **argv)
{
	int at = 1, append = next_option(argc, argv, "a", &at) == 'a', fd[16], n = 0, status = 0;
	char buf[2048];
	ssize_t len;

	for (; at < argc && n < (int)ARRAY_SIZE(fd); at++) {
		fd[n] = open(argv[at], O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), 0666);
		if (fd[n] >= 0) {
			n++;
			continue;
		}
		warn(argv[at]);
		status = 1;
	}
	while ((len = read(0, buf, sizeof(buf))) > 0) {
		write_all(1, buf, len);
		for (int i = 0; i < n; i++) {
			if (write_all(fd[i], buf, len) < 0) {
				warn("write");
				status = 1;
			}
		}
	}
	return status;
}
