// SPDX-License-Identifier: GPL-2.0 OR MIT
/* dmesg mount umount sync uname free uptime hostname nproc id poweroff halt reboot */
#include "box.h"

enum { LOG_READ_ALL = 3, LOG_CLEAR = 5, LOG_CONSOLE_LEVEL = 8, LOG_SIZE = 10 };

#define MNT_FORCE	1	/* umount2(): in no header for user space */
#define MNT_DETACH	2

static long klog(int what, char *buf, int n)
{
	return __sysret(my_syscall3(__NR_syslog, what, buf, n));
}

int dmesg_main(int argc, char **argv)
{
	int at = 1, option, clear = 0, raw = 0;
	char *buf, *p, *end, *line;
	long n;

	while ((option = next_option(argc, argv, "crn:C", &at)) >= 0) {
		switch (option) {
		case 'r': raw = 1; break;
		case 'c': clear = 1; break;
		case 'C': return klog(LOG_CLEAR, NULL, 0) < 0;
		case 'n':
			if (klog(LOG_CONSOLE_LEVEL, NULL, number(option_value)) == 0)
				return 0;
			warn("console level");
			return 1;
		default: return 2;
		}
	}
	n = klog(LOG_SIZE, NULL, 0);
	buf = n > 0 ? heap_alloc(n) : NULL;
	n = buf ? klog(LOG_READ_ALL, buf, n) : -1;
	if (n < 0) {
		warn("kernel log");
		return 1;
	}
	for (p = buf, end = buf + n; p < end; p = line + 1) {
		for (line = p; line < end && *line != '\n'; line++)
			;
		if (*p == '<' && !raw)		/* "<level>" */
			while (p < line && *p++ != '>')
				;
		put_bytes(p, line - p);
		putchar('\n');
	}
	if (clear)
		klog(LOG_CLEAR, NULL, 0);
	return 0;
}

/* ---- file systems */

/* Sets the flag of a mount option; 0: it is for the file system. */
static int mount_flag(const char *name, size_t n, unsigned long *flags)
{
	static const struct { char name[10]; unsigned long flag; } known[] = {
		{ "ro", MS_RDONLY }, { "nosuid", MS_NOSUID }, { "nodev", MS_NODEV },
		{ "noexec", MS_NOEXEC }, { "remount", MS_REMOUNT }, { "bind", MS_BIND },
		{ "move", MS_MOVE }, { "noatime", MS_NOATIME }, { "rw", 0 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(known); i++) {
		if (strlen(known[i].name) == n && !strncmp(known[i].name, name, n)) {
			*flags |= known[i].flag;
			return 1;
		}
	}
	return 0;
}

int mount_main(int argc, char **argv)
{
	const char *type = NULL, *options = "", *p, *end;
	struct text data = { 0 };
	unsigned long flags = 0;
	int at = 1, option;
	struct text t;

	while ((option = next_option(argc, argv, "t:o:", &at)) >= 0) {
		if (option == '?')
			return 2;
		if (option == 't')
			type = option_value;
		else
			options = option_value;
	}
	if (at == argc && !type) {
		if (read_file("/proc/mounts", &t) < 0) {
			warn("/proc/mounts");
			return 1;
		}
		put_bytes(t.p, t.len);
		return 0;
	}
	if (argc - at != 2) {
		warnx("usage: mount [-t TYPE] [-o OPTIONS] WHAT DIRECTORY");
		return 2;
	}
	for (p = options; *p; p = *end ? end + 1 : end) {
		for (end = p; *end && *end != ','; end++)
			;
		if (mount_flag(p, end - p, &flags))
			continue;
		if (data.len)
			text_putc(&data, ',');
		text_add(&data, p, end - p);
	}
	if (mount(argv[at], argv[at + 1], type, flags, data.p) == 0)
		return 0;
	warn(argv[at + 1]);
	return 1;
}

int umount_main(int argc, char **argv)
{
	int status = 0, at = 1, flags = 0, option;

	while ((option = next_option(argc, argv, "fl", &at)) >= 0)
		flags |= option == 'f' ? MNT_FORCE : MNT_DETACH;
	for (; at < argc; at++) {
		if (umount2(argv[at], flags) < 0) {
			warn(argv[at]);
			status = 1;
		}
	}
	return status;
}

int sync_main(int argc, char **argv)
{
	sync();
	return 0;
}

/* ---- facts about the machine */

int uname_main(int argc, char **argv)
{
	int at = 1, option, first = 1;
	struct utsname u;
	char wanted[8] = "";
	const char *order = "snrvm";

	while ((option = next_option(argc, argv, "asnrvm", &at)) >= 0) {
		size_t n = strlen(wanted);

		if (option == '?')
			return 2;
		if (option == 'a')
			strlcpy(wanted, order, sizeof(wanted));
		else if (!strchr(wanted, option) && n + 1 < sizeof(wanted))
			wanted[n] = option;
	}
	if (!*wanted)
		wanted[0] = 's';
	uname(&u);
	for (; *order; order++) {
		if (!strchr(wanted, *order))
			continue;
		if (!first)
			putchar(' ');
		first = 0;
		put(*order == 's' ? u.sysname : *order == 'n' ? u.nodename :
		    *order == 'r' ? u.release : *order == 'v' ? u.version : u.machine);
	}
	putchar('\n');
	return 0;
}

static int get_sysinfo(struct sysinfo *s)
{
	if (__sysret((int)my_syscall1(__NR_sysinfo, s)) == 0)
		return 0;
	warn("sysinfo");
	return -1;
}

int free_main(int argc, char **argv)
{
	struct sysinfo s;
	unsigned long kib;

	if (get_sysinfo(&s) < 0)
		return 1;
#define KIB(pages)	((unsigned long)((uint64_t)(pages) * s.mem_unit / 1024))
	kib = KIB(s.totalram);
	printf("%12s %10s %10s %10s %10s\n", "KiB", "total", "used", "free", "buffers");
	printf("%12s %10lu %10lu %10lu %10lu\n", "memory", kib, kib - KIB(s.freeram),
	       KIB(s.freeram), KIB(s.bufferram));
	return 0;
}

int uptime_main(int argc, char **argv)
{
	struct sysinfo s;
	int64_t ms;

	if (get_sysinfo(&s) < 0)
		return 1;
	ms = now_ns(CLOCK_BOOTTIME) / 1000000;
	printf("up %lld:%02lld:%02lld.%03lld, %u tasks, load average", ms / 3600000,
	       ms / 60000 % 60, ms / 1000 % 60, ms % 1000, s.procs);
	for (int i = 0; i < 3; i++)
		printf("%s %lu.%02lu", i ? "," : ":", s.loads[i] >> 16,
		       (s.loads[i] & 0xffff) * 100 >> 16);
	putchar('\n');
	return 0;
}

int hostname_main(int argc, char **argv)
{
	struct utsname u;

	if (argc > 1) {
		if (__sysret((int)my_syscall2(__NR_sethostname, argv[1], strlen(argv[1]))) == 0)
			return 0;
		warn(argv[1]);
		return 1;
	}
	uname(&u);
	puts(u.nodename);
	return 0;
}

int nproc_main(int argc, char **argv)
{
	unsigned long mask[32] = { 0 };
	long n = my_syscall3(__NR_sched_getaffinity, 0, sizeof(mask), mask);
	int cpus = 0;

	for (long i = 0; i < n / (long)sizeof(*mask); i++)
		cpus += __builtin_popcountl(mask[i]);
	printf("%d\n", cpus);
	return 0;
}

int id_main(int argc, char **argv)
{
	unsigned int uid = getuid(), gid = my_syscall0(__NR_getgid);

	printf("uid=%u%s gid=%u%s\n", uid, uid ? "" : "(root)", gid, gid ? "" : "(root)");
	return 0;
}

/* ---- the machine's end */

static int stop(int cmd, const char *arg)
{
	sync();
	if (__sysret((int)my_syscall4(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
				      cmd, arg)) < 0)
		warn("reboot");
	return 1;
}

int poweroff_main(int argc, char **argv)
{
	return stop(LINUX_REBOOT_CMD_POWER_OFF, NULL);
}

int halt_main(int argc, char **argv)
{
	return stop(LINUX_REBOOT_CMD_HALT, NULL);
}

int reboot_main(int argc, char **argv)
{
	return argc > 1 ? stop(LINUX_REBOOT_CMD_RESTART2, argv[1]) :
	       stop(LINUX_REBOOT_CMD_RESTART, NULL);
}
