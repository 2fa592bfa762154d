// SPDX-License-Identifier: GPL-2.0 OR MIT
/* ls [-l] [-a] [-d] [-1] [path...]: one name a line when not on a terminal */
#include "box.h"

struct entry {
	char *name;
	struct statx st;
};

static int long_format, all, directories, one_column;

static void mode_string(unsigned int mode, char *s)
{
	static const char bits[] = "rwxrwxrwx";

	s[0] = S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : S_ISCHR(mode) ? 'c' :
	       S_ISBLK(mode) ? 'b' : S_ISFIFO(mode) ? 'p' : S_ISSOCK(mode) ? 's' : '-';
	for (int i = 0; i < 9; i++)
		s[i + 1] = mode & (0400 >> i) ? bits[i] : '-';
	if (mode & 01000)
		s[9] = mode & 1 ? 't' : 'T';
	s[10] = 0;
}

static void print_long(const char *dir, const struct entry *e)
{
	char mode[11], path[512], target[256];
	ssize_t n;

	mode_string(e->st.stx_mode, mode);
	printf("%s %3u %4u %4u ", mode, e->st.stx_nlink, e->st.stx_uid, e->st.stx_gid);
	if (S_ISCHR(e->st.stx_mode) || S_ISBLK(e->st.stx_mode))
		printf("%4u, %3u ", e->st.stx_rdev_major, e->st.stx_rdev_minor);
	else
		printf("%9llu ", (uint64_t)e->st.stx_size);
	put(e->name);
	if (S_ISLNK(e->st.stx_mode)) {
		snprintf(path, sizeof(path), "%s%s%s", dir ? dir : "", dir ? "/" : "", e->name);
		n = readlink(path, target, sizeof(target) - 1);
		printf(" -> %.*s", (int)(n < 0 ? 0 : n), target);
	}
	putchar('\n');
}

static void print_entries(const char *dir, struct entry *e, int n)
{
	int width = 0, columns, rows;
	struct winsize size;

	if (long_format || one_column) {
		for (int i = 0; i < n; i++) {
			if (long_format)
				print_long(dir, &e[i]);
			else
				puts(e[i].name);
		}
		return;
	}
	for (int i = 0; i < n; i++) {
		int len = strlen(e[i].name) + 2;

		width = len > width ? len : width;
	}
	if (!n)
		return;
	if (sys_ioctl(1, TIOCGWINSZ, &size) < 0 || !size.ws_col)
		size.ws_col = 80;
	columns = size.ws_col / width;
	columns = columns ? columns : 1;
	rows = (n + columns - 1) / columns;
	for (int r = 0; r < rows; r++) {
		for (int i = r; i < n; i += rows)
			printf("%-*s", i + rows < n ? width : 0, e[i].name);
		putchar('\n');
	}
}

static void sort_entries(struct entry *e, int n)
{
	for (int i = 1; i < n; i++) {
		struct entry x = e[i];
		int j = i;

		for (; j && strcmp(e[j - 1].name, x.name) > 0; j--)
			e[j] = e[j - 1];
		e[j] = x;
	}
}

static struct entry *add_entry(struct entry *e, int *n, const char *name)
{
	if (!(*n & (*n + 1)))	/* full when the count is a power of two less one */
		e = heap_grow(e, *n * sizeof(*e), (*n * 2 + 1) * sizeof(*e));
	e[*n].name = heap_strdup(name);
	(*n)++;
	return e;
}

static int list_directory(const char *path)
{
	struct entry *e = NULL;
	struct linux_dirent64 *d;
	char buf[2048], name[512];
	int fd = open(path, O_RDONLY | O_DIRECTORY), n = 0, len;

	if (fd < 0) {
		warn(path);
		return 1;
	}
	while ((len = getdents64(fd, (void *)buf, sizeof(buf))) > 0) {
		for (int at = 0; at < len; at += d->d_reclen) {
			d = (void *)(buf + at);
			if (d->d_name[0] == '.' && !all)
				continue;
			e = add_entry(e, &n, d->d_name);
			if (!long_format)
				continue;
			snprintf(name, sizeof(name), "%s/%s", path, d->d_name);
			statx_path(name, 1, &e[n - 1].st);	/* may be gone: zeros */
		}
	}
	close(fd);
	sort_entries(e, n);
	print_entries(path, e, n);
	for (int i = 0; i < n; i++)
		heap_free(e[i].name);
	heap_free(e);
	return 0;
}

int ls_main(int argc, char **argv)
{
	static char *here[] = { NULL };
	int at = 1, option, status = 0, n = 0, shown;
	struct entry *files = NULL;
	char **paths;

	while ((option = next_option(argc, argv, "lad1", &at)) >= 0) {
		switch (option) {
		case 'l': long_format = 1; break;
		case 'a': all = 1; break;
		case 'd': directories = 1; break;
		case '1': one_column = 1; break;
		default: return 2;
		}
	}
	if (!is_tty(1))
		one_column = 1;
	here[0] = ".";
	paths = at < argc ? argv + at : here;
	argc = at < argc ? argc - at : 1;
	for (int i = 0; i < argc; i++) {
		struct statx st;

		if (statx_path(paths[i], long_format || directories, &st) < 0) {
			warn(paths[i]);
			paths[i] = NULL;
			status = 1;
		} else if (directories || !S_ISDIR(st.stx_mode)) {
			files = add_entry(files, &n, paths[i]);
			files[n - 1].st = st;
			paths[i] = NULL;
		}
	}
	print_entries(NULL, files, n);
	shown = n;
	for (int i = 0; i < argc; i++) {
		if (!paths[i])
			continue;
		if (argc > 1)
			printf("%s%s:\n", shown++ ? "\n" : "", paths[i]);
		status |= list_directory(paths[i]);
	}
	return status;
}
