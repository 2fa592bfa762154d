// SPDX-License-Identifier: GPL-2.0 OR MIT
/* fschurn COUNT [DIRECTORY]: create, write, rename, read, unlink */
#include "work.h"

#define FILES	8

static char directory[200];

static void path_of(char *path, size_t n, const char *what, int i)
{
	snprintf(path, n, "%s/%s%d", directory, what, i);
}

/* Different in every file and place, so that mixed-up data is seen. */
static void fill(unsigned int *data, int n, unsigned int seed)
{
	for (int i = 0; i < n; i++)
		data[i] = next_random(&seed);
}

static void round_trip(int i, unsigned int round)
{
	unsigned int data[256], back[256];
	int n = 1 + (round * 31 + i) % ARRAY_SIZE(data), fd;
	char from[256], to[256];
	struct statx st;
	size_t size = n * sizeof(*data);

	path_of(from, sizeof(from), "new", i);
	path_of(to, sizeof(to), "old", i);
	fill(data, n, round * FILES + i + 1);
	fd = open(from, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (!check(fd >= 0))
		return;
	check(write(fd, data, size) == (ssize_t)size);
	close(fd);
	check(rename(from, to) == 0);		/* replaces the last round's */
	check(statx_path(from, 1, &st) < 0 && errno == ENOENT);
	check(statx_path(to, 1, &st) == 0 && st.stx_size == size);
	fd = open(to, O_RDONLY);
	if (!check(fd >= 0))
		return;
	check(read(fd, back, sizeof(back)) == (ssize_t)size);
	check(!memcmp(data, back, size));
	close(fd);
	if (round % 3 == 0)
		check(unlink(to) == 0);
}

static int count_entries(void)
{
	struct linux_dirent64 *d;
	int fd = open(directory, O_RDONLY | O_DIRECTORY), entries = 0, n;
	char buf[1024];

	while (fd >= 0 && (n = getdents64(fd, (void *)buf, sizeof(buf))) > 0)
		for (int at = 0; at < n; at += d->d_reclen, entries++)
			d = (void *)(buf + at);
	close(fd);
	return entries - 2;			/* . and .. */
}

int fschurn_main(int argc, char **argv)
{
	long count = work_count(argc, argv, 20);
	char path[256];

	snprintf(directory, sizeof(directory), "%s/churn.%d", argc > 2 ? argv[2] : "/tmp",
		 getpid());
	if (!check(mkdir(directory, 0755) == 0))
		return work_summary("not started");
	for (long round = 0; round < count; round++) {
		for (int i = 0; i < FILES; i++)
			round_trip(i, round);
		check(count_entries() == (round % 3 == 0 ? 0 : FILES));
	}
	for (int i = 0; i < FILES; i++) {
		path_of(path, sizeof(path), "old", i);
		unlink(path);
	}
	check(rmdir(directory) == 0);
	return work_summary("%ld rounds of %d files", count, FILES);
}
