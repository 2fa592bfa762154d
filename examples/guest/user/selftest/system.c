// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Tests: memory, /proc, the terminal, processors. */
#include "selftest.h"

void test_memory_map(void)
{
	char *a[20];

	for (int i = 0; i < 20; i++) {
		size_t n = 4096 * (i + 1);

		a[i] = map_pages(n);
		if (!check(a[i] != NULL))
			return;
		check(((unsigned long)a[i] & 4095) == 0);
		for (size_t k = 0; k < n; k += 512)
			check(a[i][k] == 0);
		memset(a[i], 0xaa, n);
	}
	for (int i = 0; i < 20; i++)
		check(munmap(a[i], 4096 * (i + 1)) == 0);
	/* given back, taken again: zeroed again */
	a[0] = map_pages(65536);
	for (int k = 0; k < 65536; k += 64)
		if (!check(a[0][k] == 0))
			break;
	check(munmap(a[0], 65536) == 0);
	check(mmap(NULL, 0x70000000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
	      == MAP_FAILED && errno == ENOMEM);
	check(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 99, 0) == MAP_FAILED && errno == EBADF);
}

void test_memory_bad(void)
{
	char *far = (char *)0xfffff000;
	int fd[2];

	/* Beyond the memory's end: an error, not a trap in the kernel. */
	check(pipe(fd) == 0);
	check(write(fd[1], far, 16) < 0 && errno == EFAULT);
	check(write(fd[1], "x", 1) == 1);
	check(read(fd[0], far, 1) < 0 && errno == EFAULT);
	check(open(far, O_RDONLY) < 0 && errno == EFAULT);
	check(my_syscall1(__NR_uname, far) == -EFAULT);
	check(my_syscall2(__NR_clock_gettime64, CLOCK_MONOTONIC, far) == -EFAULT);
	check(execve(far, NULL, NULL) < 0 && errno == EFAULT);
	check(futex_wait((int *)far, 0, 0) == -EFAULT);
}

void test_proc_self(void)
{
	char link[64] = "";
	struct text t;

	check(readlink("/proc/self/exe", link, sizeof(link) - 1) > 0);
	check(!strcmp(link, "/bin/selftest"));
	check(atoi((readlink("/proc/self", link, sizeof(link) - 1), link)) == getpid());
	check(read_file("/proc/self/comm", &t) == 0 && !strcmp(t.p, "selftest\n"));
	check(read_file("/proc/self/cmdline", &t) == 0 && t.len > 14);
	check(t.len > 14 && !memcmp(t.p, "/bin/selftest\0--run", 20));
	check(read_file("/proc/self/environ", &t) == 0 && strchr(t.p, '='));
	check(read_file("/proc/self/maps", &t) == 0 && t.len > 20);
	check(read_file("/proc/self/status", &t) == 0 && !strncmp(t.p, "Name:\tselftest\n", 15));
}

void test_proc_files(void)
{
	static const char paths[][28] = {
		"/proc/cpuinfo", "/proc/meminfo", "/proc/interrupts", "/proc/stat",
		"/proc/loadavg", "/proc/uptime", "/proc/mounts", "/proc/filesystems",
		"/proc/cmdline", "/proc/version", "/proc/1/stat", "/proc/self/wchan",
		"/sys/kernel/uevent_seqnum", "/proc/timer_list", "/proc/softirqs",
	};
	static const char may_lack[][28] = { "/proc/timer_list", "/proc/self/wchan" };
	struct text t;

	for (unsigned int i = 0; i < ARRAY_SIZE(paths); i++) {
		int must = 1;

		for (unsigned int k = 0; k < ARRAY_SIZE(may_lack); k++)
			must &= strcmp(paths[i], may_lack[k]) != 0;
		if (read_file(paths[i], &t) < 0)
			must = must ? !check(!"readable") && dprintf(2, "# %s\n", paths[i]) : 0;
		else
			check(t.len > 0);
	}
	check(access_path("/dev/null", R_OK) == 0 && access_path("/dev/hvc0", R_OK) == 0);
}

void test_tty_basic(void)
{
	int fd = open("/dev/hvc0", O_RDWR | O_NOCTTY | O_NONBLOCK);
	struct termios t;
	struct winsize size;

	check(fd >= 0);
	check(is_tty(fd));
	check(ioctl(fd, TCGETS, &t) == 0);
	check((t.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG));
	check(t.c_cc[VINTR] == 3);
	check(ioctl(fd, TIOCGWINSZ, &size) == 0);
	check(write(fd, "", 0) == 0);
	check(!is_tty(0));			/* the runner gave us /dev/null */
}

void test_affinity(void)
{
	unsigned long all[4] = { 0 }, one[4] = { 0 };
	unsigned int cpu;
	long n = my_syscall3(__NR_sched_getaffinity, 0, sizeof(all), all);

	check(n > 0);
	for (int i = 0; i < 32; i++) {
		if (!(all[0] >> i & 1))
			continue;
		one[0] = 1UL << i;
		check(my_syscall3(__NR_sched_setaffinity, 0, sizeof(one), one) == 0);
		check(my_syscall3(__NR_getcpu, &cpu, 0, 0) == 0);
		check(cpu == (unsigned int)i);
	}
	one[0] = 0;
	check(my_syscall3(__NR_sched_setaffinity, 0, sizeof(one), one) == -EINVAL);
	check(my_syscall0(__NR_sched_yield) == 0);
}

void test_sysinfo_sane(void)
{
	struct sysinfo s;
	struct utsname u;
	struct rusage r;
	char random[16] = "";

	check(my_syscall1(__NR_sysinfo, &s) == 0);
	check(s.totalram > s.freeram && s.freeram > 0 && s.procs > 5);
	check(uname(&u) == 0);
	check(!strcmp(u.sysname, "Linux") && !strncmp(u.release, "6.", 2));
	check(my_syscall2(__NR_getrusage, RUSAGE_SELF, &r) == 0);
	check(getuid() == 0);
	check(my_syscall0(999) == -ENOSYS);
	check(my_syscall3(__NR_getrandom, random, sizeof(random), 1) == 16);
}
