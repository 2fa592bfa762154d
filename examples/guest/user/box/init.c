// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * init: the first process.  Mounts what programs need and runs a shell on the
 * console: an interactive one, or the command in the environment variable
 * WDBG_EXEC (a kernel parameter: everything but [A-Za-z0-9_./,:;=+-] written
 * as %XX).  Then the machine stops; the exit status of a command goes out as
 * the string "exit=N" of a restart.
 */
#include "box.h"

static void mount_all(void)
{
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("tmp", "/tmp", "tmpfs", 0, NULL);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; a '%' that no two hexadecimal digits follow stays. */
static char *percent_decode(char *s)
{
	char *to = s, *from = s;

	while (*from) {
		if (*from == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
			*to++ = hex_digit(from[1]) << 4 | hex_digit(from[2]);
			from += 3;
		} else {
			*to++ = *from++;
		}
	}
	*to = 0;
	return s;
}

/* In the child: a session of its own on the console, then the shell. */
static int start_shell(void *arg)
{
	static char *envp[] = { NULL, NULL, NULL, NULL, NULL };
	char *command = arg;
	char *argv[] = { "-sh", command ? "-c" : NULL, command, NULL };
	int fd;

	setsid();
	fd = open("/dev/hvc0", O_RDWR);
	if (fd < 0)
		fd = open("/dev/console", O_RDWR);
	if (fd >= 0) {
		ioctl(fd, TIOCSCTTY, NULL);
		for (int i = 0; i < 3; i++)
			dup2(fd, i);
		if (fd > 2)
			close(fd);
	}
	envp[0] = "PATH=/bin";
	envp[1] = "HOME=/";
	envp[2] = "TERM=linux";
	envp[3] = "USER=root";
	execve("/bin/sh", argv, envp);
	warn("/bin/sh");
	return 127;
}

static void banner(void)
{
	struct utsname u;
	char line[256];
	int n;

	uname(&u);
	n = snprintf(line, sizeof(line), "\n%s %s on %s. \"help\" lists the commands, "
		     "\"poweroff\" or Ctrl-D ends.\n", u.sysname, u.release, u.machine);
	write_all(1, line, n);
}

static void stop(int cmd, const char *arg)
{
	flush();
	sync();
	my_syscall4(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, cmd, arg);
}

int init_main(int argc, char **argv)
{
	char *command = getenv("WDBG_EXEC");
	int shell, pid, status = 0;
	char text[16];

	if (getpid() != 1) {
		warnx("only the kernel starts me");
		return 1;
	}
	mount_all();
	if (command)
		percent_decode(command);
	else
		banner();
	shell = vfork_call(start_shell, command);
	if (shell < 0)
		warn("cannot start a shell");
	/* Orphans come to us, too. */
	while (shell > 0) {
		pid = wait_child(-1, &status, 0, NULL);
		if (pid == shell || (pid < 0 && errno == ECHILD))
			break;
	}
	if (!command)
		stop(LINUX_REBOOT_CMD_POWER_OFF, NULL);
	status = shell < 0 ? 127 : WIFEXITED(status) ? WEXITSTATUS(status) :
		 128 + WTERMSIG(status);
	snprintf(text, sizeof(text), "exit=%d", status);
	stop(LINUX_REBOOT_CMD_RESTART2, text);
	for (;;)
		pause();
}
