// SPDX-License-Identifier: GPL-2.0 OR MIT
/* mkdir rmdir rm touch chmod tee */
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

int remove_tree(const char *path)
{
	struct rm_options o = { 1, 1 };

	return remove_path(path, path, &o);
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
