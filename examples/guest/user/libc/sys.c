// SPDX-License-Identifier: GPL-2.0 OR MIT
/* System calls that nolibc does not wrap; see sys.h. */
#include "libc.h"

int64_t now_ns(int clock)
{
	timespec64 t = { 0, 0 };

	my_syscall2(__NR_clock_gettime64, clock, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

timespec64 ns_timespec(int64_t ns)
{
	timespec64 t = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };

	return t;
}

int sleep_ns(int64_t ns)
{
	timespec64 t = ns_timespec(ns);

	return __sysret((int)my_syscall4(__NR_clock_nanosleep_time64, CLOCK_MONOTONIC, 0,
					 &t, 0));
}

int wait_child(int pid, int *status, int options, struct rusage *usage)
{
	siginfo_t info;
	int type = pid > 0 ? P_PID : pid == -1 ? P_ALL : P_PGID;
	long ret;

	info.si_pid = 0;
	/* WUNTRACED is the same bit as waitid's WSTOPPED. */
	ret = my_syscall5(__NR_waitid, type, pid < 0 ? -pid : pid, &info,
			  options | WEXITED, usage);
	if (ret < 0) {
		SET_ERRNO(-ret);
		return -1;
	}
	if (info.si_pid && status) {
		if (info.si_code == CLD_EXITED)
			*status = (info.si_status & 0xff) << 8;
		else if (info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED)
			*status = WSTOPPED_STATUS(info.si_status);
		else
			*status = info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
	}
	return info.si_pid;
}

int handle_signal(int sig, signal_handler handler, unsigned long flags)
{
	struct sigaction act = { .sa_handler = (__sighandler_t)handler, .sa_flags = flags };

	return __sysret((int)my_syscall4(__NR_rt_sigaction, sig, &act, 0, sizeof(act.sa_mask)));
}

int handle_signal_info(int sig, signal_action handler, unsigned long flags)
{
	return handle_signal(sig, (signal_handler)(void *)handler, flags | SA_SIGINFO);
}

int signal_mask(int how, uint64_t set, uint64_t *old)
{
	return __sysret((int)my_syscall4(__NR_rt_sigprocmask, how, &set, old, sizeof(set)));
}

int signal_suspend(uint64_t mask)
{
	return __sysret((int)my_syscall2(__NR_rt_sigsuspend, &mask, sizeof(mask)));
}

int tgkill(int tgid, int tid, int sig)
{
	return __sysret((int)my_syscall3(__NR_tgkill, tgid, tid, sig));
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	if (flags & O_CREAT) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return __sysret(sys_open(path, flags | O_LARGEFILE, mode));
}

int64_t lseek64(int fd, int64_t offset, int whence)
{
	int64_t result;
	long ret = my_syscall5(__NR_llseek, fd, HI(offset), LO(offset), &result, whence);

	return ret < 0 ? __sysret(ret) : result;
}

ssize_t pread64(int fd, void *buf, size_t n, int64_t offset)
{
	return __sysret(my_syscall5(__NR_pread64, fd, buf, n, LO(offset), HI(offset)));
}

ssize_t pwrite64(int fd, const void *buf, size_t n, int64_t offset)
{
	return __sysret(my_syscall5(__NR_pwrite64, fd, buf, n, LO(offset), HI(offset)));
}

int ftruncate64(int fd, int64_t size)
{
	return __sysret((int)my_syscall3(__NR_ftruncate64, fd, LO(size), HI(size)));
}

ssize_t readlink(const char *path, char *buf, size_t n)
{
	return __sysret(my_syscall4(__NR_readlinkat, AT_FDCWD, path, buf, n));
}

int rename(const char *from, const char *to)
{
	return __sysret((int)my_syscall5(__NR_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int link_at(const char *from, const char *to)
{
	return __sysret((int)my_syscall5(__NR_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int touch_now(const char *path)
{
	return __sysret((int)my_syscall4(__NR_utimensat_time64, AT_FDCWD, path, 0, 0));
}

int statx_path(const char *path, int nofollow, struct statx *out)
{
	return __sysret(sys_statx(AT_FDCWD, path,
				  AT_NO_AUTOMOUNT | (nofollow ? AT_SYMLINK_NOFOLLOW : 0),
				  STATX_BASIC_STATS, out));
}

int fcntl(int fd, int cmd, long arg)
{
	return __sysret((int)my_syscall3(__NR_fcntl64, fd, cmd, arg));
}

char *getcwd(char *buf, size_t n)
{
	return __sysret((int)my_syscall2(__NR_getcwd, buf, n)) < 0 ? NULL : buf;
}

int access_path(const char *path, int mode)
{
	return __sysret((int)my_syscall3(__NR_faccessat, AT_FDCWD, path, mode));
}

int is_tty(int fd)
{
	struct termios t;

	return sys_ioctl(fd, TCGETS, &t) >= 0;
}

int poll_ns(struct pollfd *fds, unsigned int n, int64_t ns)
{
	timespec64 t = ns_timespec(ns);

	return __sysret((int)my_syscall5(__NR_ppoll_time64, fds, n, ns < 0 ? NULL : &t, 0, 0));
}

int epoll_create(void)
{
	return __sysret((int)my_syscall1(__NR_epoll_create1, 0));
}

int epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	return __sysret((int)my_syscall4(__NR_epoll_ctl, ep, op, fd, ev));
}

int epoll_wait_ms(int ep, struct epoll_event *evs, int n, int ms)
{
	return __sysret((int)my_syscall6(__NR_epoll_pwait, ep, evs, n, ms, 0, 0));
}

int timerfd_create(int clock)
{
	return __sysret((int)my_syscall2(__NR_timerfd_create, clock, 0));
}

int timerfd_set(int fd, int64_t first_ns, int64_t interval_ns)
{
	struct __kernel_itimerspec t = { ns_timespec(interval_ns), ns_timespec(first_ns) };

	return __sysret((int)my_syscall4(__NR_timerfd_settime64, fd, 0, &t, 0));
}

int eventfd(unsigned int value, int flags)
{
	return __sysret((int)my_syscall2(__NR_eventfd2, value, flags));
}

int set_interval_timer(int64_t first_ns, int64_t interval_ns)
{
	struct __kernel_old_itimerval t = {
		{ interval_ns / NSEC_PER_SEC, interval_ns % NSEC_PER_SEC / 1000 },
		{ first_ns / NSEC_PER_SEC, first_ns % NSEC_PER_SEC / 1000 },
	};

	return __sysret((int)my_syscall3(__NR_setitimer, ITIMER_REAL, &t, 0));
}

int futex_wait(const int *word, int value, int64_t timeout_ns)
{
	timespec64 t = ns_timespec(timeout_ns);

	return my_syscall6(__NR_futex_time64, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value,
			   timeout_ns < 0 ? NULL : &t, 0, 0);
}

int futex_wake(const int *word, int n)
{
	return my_syscall6(__NR_futex_time64, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, 0, 0, 0);
}

int pause(void)
{
	return __sysret((int)my_syscall5(__NR_ppoll_time64, 0, 0, 0, 0, 0));
}

void sync(void)
{
	my_syscall0(__NR_sync);
}
