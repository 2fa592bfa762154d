/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * System calls that nolibc does not wrap, or wraps for 32-bit time or offsets.
 * Conventions as in libc: -1 and errno on failure, unless a comment says so.
 */
#ifndef WDBG_SYS_H
#define WDBG_SYS_H

#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/termios.h>
#include <linux/eventpoll.h>
#include <linux/eventfd.h>
#include <linux/timerfd.h>
#include <linux/sysinfo.h>

typedef struct __kernel_timespec timespec64;

#define NSEC_PER_SEC	1000000000LL
#define CLONE_THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | \
			    CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |	\
			    CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

/* 64-bit values are passed as two arguments, low half first. */
#define LO(v)	((long)(uint64_t)(v))
#define HI(v)	((long)((uint64_t)(v) >> 32))

/* Time: nanoseconds as one number. */
int64_t now_ns(int clock);
int sleep_ns(int64_t ns);			/* EINTR when a handler ran */
timespec64 ns_timespec(int64_t ns);

/*
 * Wait for a child of ours: its id, 0 (WNOHANG and none ready), or -1.
 * *status is in the form that WEXITSTATUS() and so on take; a stopped child
 * gives WSTOPPED_STATUS(signal).  `options`: WNOHANG, WUNTRACED.
 */
int wait_child(int pid, int *status, int options, struct rusage *usage);
#define WSTOPPED_STATUS(sig)	((sig) << 8 | 0x7f)
#define WIFSTOPPED(status)	(((status) & 0xff) == 0x7f)
#define WSTOPSIG(status)	WEXITSTATUS(status)

/* nolibc's takes 0 for a signal. */
#undef WIFSIGNALED
#define WIFSIGNALED(status) (((status) & 0x7f) != 0 && !WIFSTOPPED(status))

/* Signals. */
typedef void (*signal_handler)(int sig);
typedef void (*signal_action)(int sig, siginfo_t *info, void *context);
#define HANDLER_DFL	((signal_handler)0)
#define HANDLER_IGN	((signal_handler)1)
int handle_signal(int sig, signal_handler handler, unsigned long flags);
int handle_signal_info(int sig, signal_action handler, unsigned long flags);
int signal_mask(int how, uint64_t set, uint64_t *old);	/* bit n-1 = signal n */
#define SIGBIT(sig)	(1ULL << ((sig) - 1))
int signal_suspend(uint64_t mask);
int tgkill(int tgid, int tid, int sig);

/* Files.  open() is for files of any size (O_LARGEFILE). */
int open(const char *path, int flags, ...);
int64_t lseek64(int fd, int64_t offset, int whence);
ssize_t pread64(int fd, void *buf, size_t n, int64_t offset);
ssize_t pwrite64(int fd, const void *buf, size_t n, int64_t offset);
int ftruncate64(int fd, int64_t size);
ssize_t readlink(const char *path, char *buf, size_t n);
int rename(const char *from, const char *to);
int link_at(const char *from, const char *to);
int pause(void);
void sync(void);
int touch_now(const char *path);
int statx_path(const char *path, int nofollow, struct statx *out);
int fcntl(int fd, int cmd, long arg);
char *getcwd(char *buf, size_t n);
int access_path(const char *path, int mode);	/* mode: X_OK ... */
#define R_OK 4
#define W_OK 2
#define X_OK 1
#define F_OK 0
int is_tty(int fd);

/* Polling and descriptors that stand for events. */
int poll_ns(struct pollfd *fds, unsigned int n, int64_t ns);	/* ns < 0: for ever */
int epoll_create(void);
int epoll_ctl(int ep, int op, int fd, struct epoll_event *ev);
int epoll_wait_ms(int ep, struct epoll_event *evs, int n, int ms);
int timerfd_create(int clock);
int timerfd_set(int fd, int64_t first_ns, int64_t interval_ns);
int eventfd(unsigned int value, int flags);
int set_interval_timer(int64_t first_ns, int64_t interval_ns);	/* SIGALRM */

/* Futexes: the raw result, negative errno on failure. */
int futex_wait(const int *word, int value, int64_t timeout_ns);	/* < 0: for ever */
int futex_wake(const int *word, int n);

#endif
