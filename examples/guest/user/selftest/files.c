// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Tests: files, on the tmpfs of /tmp. */
#include "selftest.h"
#include <linux/uio.h>

#define GIB	(1LL << 30)
#define NAME	"/tmp/selftest.file"

static int new_file(int flags)
{
	int fd = open(NAME, O_RDWR | O_CREAT | O_TRUNC | flags, 0644);

	check(fd >= 0);
	return fd;
}

void test_file_offsets(void)
{
	static const int64_t at[] = { 0, 4095, 2 * GIB - 1, 2 * GIB, 4 * GIB - 1, 4 * GIB,
				      4 * GIB + 4096, 9 * GIB + 123, 100 * GIB };
	int fd = new_file(0);
	struct statx st;
	char c;

	for (unsigned int i = 0; i < ARRAY_SIZE(at); i++) {
		c = 'a' + i;
		check(pwrite64(fd, &c, 1, at[i]) == 1);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(at); i++) {
		c = 0;
		check(pread64(fd, &c, 1, at[i]) == 1 && c == 'a' + (int)i);
		check(lseek64(fd, at[i], SEEK_SET) == at[i]);
		c = 0;
		check(read(fd, &c, 1) == 1 && c == 'a' + (int)i);
		check(lseek64(fd, 0, SEEK_CUR) == at[i] + 1);
	}
	c = 'x';
	check(pread64(fd, &c, 1, 3 * GIB) == 1 && c == 0);	/* a hole */
	check(pread64(fd, &c, 1, 200 * GIB) == 0);
	check(pread64(fd, &c, 1, -1) < 0 && errno == EINVAL);
	check(lseek64(fd, -1, SEEK_SET) < 0 && errno == EINVAL);
	check(lseek64(fd, 0, SEEK_END) == 100 * GIB + 1);
	check(lseek64(fd, -5 * GIB, SEEK_END) == 95 * GIB + 1);
	check(statx_path(NAME, 0, &st) == 0 && st.stx_size == 100 * GIB + 1);
	check(st.stx_blocks < 1000);
	close(fd);
	unlink(NAME);
}

void test_file_truncate(void)
{
	struct statx st;
	int fd;
	char c = 'z';

	/* A page first: without an MMU, growing an empty file allocates all of it. */
	fd = new_file(0);
	check(write(fd, &c, 1) == 1);
	check(ftruncate64(fd, 5 * GIB + 7) == 0);
	check(statx_path(NAME, 0, &st) == 0 && st.stx_size == 5 * GIB + 7);
	check(pwrite64(fd, &c, 1, 5 * GIB) == 1);
	check(ftruncate64(fd, 5 * GIB) == 0);
	check(pread64(fd, &c, 1, 5 * GIB) == 0);
	check(ftruncate64(fd, 5 * GIB + 1) == 0);
	check(pread64(fd, &c, 1, 5 * GIB) == 1 && c == 0);
	check(ftruncate64(fd, -1) < 0 && errno == EINVAL);
	check(my_syscall3(__NR_truncate64, NAME, LO(6 * GIB), HI(6 * GIB)) == 0);
	check(lseek64(fd, 0, SEEK_END) == 6 * GIB);
	close(fd);
	unlink(NAME);
}

void test_file_append(void)
{
	int fd = new_file(0), other;
	char buf[16];

	other = open(NAME, O_WRONLY | O_APPEND);
	check(write(fd, "abc", 3) == 3);
	check(write(other, "def", 3) == 3);
	check(write(fd, "D", 1) == 1);
	check(pread64(fd, buf, sizeof(buf), 0) == 6 && !memcmp(buf, "abcDef", 6));
	check(open(NAME, O_CREAT | O_EXCL | O_WRONLY, 0644) < 0 && errno == EEXIST);
	check(open("/tmp", O_WRONLY) < 0 && errno == EISDIR);
	check(open(NAME "/x", O_RDONLY) < 0 && errno == ENOTDIR);
	close(open(NAME, O_WRONLY | O_TRUNC));
	check(lseek64(fd, 0, SEEK_END) == 0);
	close(fd);
	close(other);
	unlink(NAME);
}

void test_file_names(void)
{
	struct statx a, b;
	char target[32] = "";

	close(new_file(0));
	check(link_at(NAME, NAME ".2") == 0);
	check(statx_path(NAME, 0, &a) == 0 && statx_path(NAME ".2", 0, &b) == 0);
	check(a.stx_ino == b.stx_ino && a.stx_nlink == 2);
	check(rename(NAME ".2", NAME ".3") == 0);
	check(statx_path(NAME ".2", 0, &b) < 0 && errno == ENOENT);
	check(symlink("selftest.file", NAME ".s") == 0);
	check(readlink(NAME ".s", target, sizeof(target)) == 13);
	check(!strcmp(target, "selftest.file"));
	check(statx_path(NAME ".s", 0, &b) == 0 && b.stx_ino == a.stx_ino);
	check(statx_path(NAME ".s", 1, &b) == 0 && S_ISLNK(b.stx_mode));
	check(unlink(NAME) == 0);
	check(statx_path(NAME ".s", 0, &b) < 0 && errno == ENOENT);
	check(unlink(NAME ".s") == 0 && unlink(NAME ".3") == 0);
	check(mkdir("/tmp/selftest.dir", 0755) == 0);
	check(mkdir("/tmp/selftest.dir", 0755) < 0 && errno == EEXIST);
	close(open("/tmp/selftest.dir/x", O_WRONLY | O_CREAT, 0644));
	check(rmdir("/tmp/selftest.dir") < 0 && errno == ENOTEMPTY);
	check(unlink("/tmp/selftest.dir") < 0 && errno == EISDIR);
	check(unlink("/tmp/selftest.dir/x") == 0);
	check(rmdir("/tmp/selftest.dir") == 0);
}

void test_file_list(void)
{
	char path[64], buf[512];
	struct linux_dirent64 *d;
	unsigned long long seen = 0;
	int fd, n, total = 0;

	check(mkdir("/tmp/selftest.dir", 0755) == 0);
	for (int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "/tmp/selftest.dir/%d", i);
		close(open(path, O_WRONLY | O_CREAT, 0644));
	}
	fd = open("/tmp/selftest.dir", O_RDONLY | O_DIRECTORY);
	while ((n = getdents64(fd, (void *)buf, sizeof(buf))) > 0) {
		for (int at = 0; at < n; at += d->d_reclen) {
			d = (void *)(buf + at);
			total++;
			if (isdigit(d->d_name[0]))
				seen |= 1ULL << atoi(d->d_name);
		}
	}
	close(fd);
	check(total == 62);
	check(seen == (1ULL << 60) - 1);
	for (int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "/tmp/selftest.dir/%d", i);
		check(unlink(path) == 0);
	}
	check(rmdir("/tmp/selftest.dir") == 0);
}

/* Is the descriptor open? */
int helper_fds(const char *argument, int argc, char **argv)
{
	return fcntl(atoi(argument), F_GETFD, 0) >= 0;
}

void test_file_descriptors(void)
{
	int fd = new_file(0), copy = dup(fd), own = open(NAME, O_RDWR);

	check(write(fd, "abcdef", 6) == 6);
	check(lseek64(copy, 0, SEEK_CUR) == 6);
	check(lseek64(own, 0, SEEK_CUR) == 0);
	check(dup2(fd, 20) == 20);
	check(run_helper("fds", "20") == 1 << 8);
	check(fcntl(20, F_SETFD, FD_CLOEXEC) == 0);
	check(run_helper("fds", "20") == 0);
	check(fcntl(fd, F_DUPFD_CLOEXEC, 30) == 30);
	check(run_helper("fds", "30") == 0);
	check(close(99) < 0 && errno == EBADF);
	check((fcntl(fd, F_GETFL, 0) & O_ACCMODE) == O_RDWR);
	unlink(NAME);
	check(lseek64(fd, 0, SEEK_END) == 6);	/* lives on without a name */
}

void test_file_vectors(void)
{
	char a[4] = "abc", b[4] = "def", c[8] = "", d[8] = "";
	struct iovec out[2] = { { a, 3 }, { b, 3 } }, in[2] = { { c, 2 }, { d, 8 } };
	int fd = new_file(0), p[2];

	check(my_syscall3(__NR_writev, fd, out, 2) == 6);
	check(lseek64(fd, 0, SEEK_SET) == 0);
	check(my_syscall3(__NR_readv, fd, in, 2) == 6);
	check(!strcmp(c, "ab") && !strcmp(d, "cdef"));
	/* preadv's offset is two registers on every machine */
	check(my_syscall5(__NR_preadv, fd, in, 1, 4, 0) == 2 && !memcmp(c, "ef", 2));
	check(pipe(p) == 0);
	lseek64(fd, 1, SEEK_SET);
	check(my_syscall4(__NR_sendfile64, p[1], fd, 0, 100) == 5);
	check(read(p[0], d, 8) == 5 && !memcmp(d, "bcdef", 5));
	lseek64(fd, 0, SEEK_SET);
	check(my_syscall6(__NR_splice, fd, 0, p[1], 0, 6, 0) == 6);
	check(read(p[0], d, 8) == 6 && !memcmp(d, "abcdef", 6));
	unlink(NAME);
}

void test_file_lock(void)
{
	struct flock64 lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5 * GIB,
				.l_len = 10 };
	int fd = new_file(0);

	check(fcntl(fd, F_SETLK64, (long)&lock) == 0);
	lock.l_type = F_RDLCK;
	check(fcntl(fd, F_GETLK64, (long)&lock) == 0 && lock.l_type == F_UNLCK);
	check(my_syscall2(__NR_flock, fd, 2) == 0);	/* LOCK_EX */
	unlink(NAME);
}

void test_file_fifo(void)
{
	char *const argv[] = { "/bin/sh", "-c", "echo hello > /tmp/selftest.fifo", NULL };
	char buf[16] = "";
	int pid, fd;

	check(mknod("/tmp/selftest.fifo", S_IFIFO | 0644, 0) == 0);
	pid = spawnvp(argv, NULL);
	fd = open("/tmp/selftest.fifo", O_RDONLY);
	check(fd >= 0);
	check(read(fd, buf, sizeof(buf)) == 6 && !strcmp(buf, "hello\n"));
	check(read(fd, buf, sizeof(buf)) == 0);
	check(wait_status(pid) == 0);
	unlink("/tmp/selftest.fifo");
}
