// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Tests: starting, ending, waiting, exec. */
#include "selftest.h"

/* ---- helpers */

int helper_exit(const char *argument, int argc, char **argv)
{
	return atoi(argument);
}

int helper_die(const char *argument, int argc, char **argv)
{
	int sig = atoi(argument);

	handle_signal(sig, HANDLER_DFL, 0);
	signal_mask(SIG_UNBLOCK, ~0ULL, NULL);
	kill(getpid(), sig);
	return 99;
}

int helper_spin(const char *argument, int argc, char **argv)
{
	static volatile unsigned int n;

	for (;;)
		n++;
}

int helper_sleep(const char *argument, int argc, char **argv)
{
	sleep_ns(number(argument) * MSEC);
	return 0;
}

int helper_environment(const char *argument, int argc, char **argv)
{
	const char *v = getenv(argument);

	return v ? atoi(v) : 200;
}

int helper_count_arguments(const char *argument, int argc, char **argv)
{
	size_t bytes = 0;

	for (int i = 4; i < argc; i++)
		bytes += strlen(argv[i]);
	return argc - 4 == atoi(argument) && bytes == (size_t)(argc - 4) * 1023 ? 0 : 1;
}

/* ---- tests */

void test_start(void)
{
	check(environ && environ[0]);
	check(getenv("PATH") && *getenv("PATH") == '/');
	check(!getenv("NO_SUCH_VARIABLE"));
	check(getauxval(AT_PAGESZ) == 4096 || getauxval(AT_PAGESZ) == 65536);
	check(__wasm_tp() == 0);
	check(((unsigned long)__builtin_frame_address(0) & 15) == 0);
}

static int some_data = 12345, some_zeros[1000];
static char some_text[8] = "abc";

static int some_function(int x)
{
	return x + 1;
}

void test_data(void)
{
	int (*volatile f)(int) = some_function;

	check(some_data == 12345);
	check(!strcmp(some_text, "abc"));
	for (unsigned int i = 0; i < ARRAY_SIZE(some_zeros); i++)
		if (!check(some_zeros[i] == 0))
			break;
	check(f != NULL);
	check(f(1) == 2);
}

static int *pointer_to_data;

static int child_of_clone(void *arg)
{
	int *seen = arg;

	*seen = some_data == 777 && pointer_to_data == &some_data && !strcmp(some_text, "xyz");
	some_data++;
	return 5;
}

void test_clone_data(void)
{
	struct peer p;
	int seen = -1;

	some_data = 777;
	pointer_to_data = &some_data;
	strcpy(some_text, "xyz");
	check(peer_start(&p, child_of_clone, &seen) == 0);
	check(peer_wait(&p) == 5 << 8);
	check(seen == 1);
	check(some_data == 778);
	check(!strcmp(some_text, "xyz"));
	/* the same, with the parent waiting for its memory */
	some_data = 777;
	seen = -1;
	check(wait_status(vfork_call(child_of_clone, &seen)) == 5 << 8);
	check(seen == 1 && some_data == 778);
}

void test_exit_status(void)
{
	static const char values[][4] = { "0", "1", "7", "127", "128", "255" };

	for (unsigned int i = 0; i < ARRAY_SIZE(values); i++)
		check(run_helper("exit", values[i]) == atoi(values[i]) << 8);
}

void test_death_status(void)
{
	static const char signals[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL,
		SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, 34, 64,
	};
	char text[8];

	for (unsigned int i = 0; i < sizeof(signals); i++) {
		int status;

		snprintf(text, sizeof(text), "%d", signals[i]);
		status = run_helper("die", text);
		if (!check(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]))
			dprintf(2, "# signal %d: status %#x\n", signals[i], status);
	}
}

void test_wait_any(void)
{
	int status = -1, a, b, c;

	check(wait_child(-1, &status, 0, NULL) < 0 && errno == ECHILD);
	a = spawn_helper("exit", "3");
	b = spawn_helper("sleep", "50");
	check(wait_child(b, &status, WNOHANG, NULL) == 0);
	check(wait_child(-1, &status, 0, NULL) == a && status == 3 << 8);
	check(wait_child(a, &status, 0, NULL) < 0 && errno == ECHILD);
	check(wait_child(-1, &status, 0, NULL) == b && status == 0);
	c = spawn_helper("exit", "4");
	check(wait_child(-getpgrp(), &status, 0, NULL) == c && status == 4 << 8);
	check(wait_child(-1, &status, WNOHANG, NULL) < 0 && errno == ECHILD);
	/* wait4() itself, which libc does not use */
	c = spawn_helper("exit", "6");
	check(waitpid(c, &status, 0) == c && status == 6 << 8);
}

void test_stop_continue(void)
{
	int pid = spawn_helper("spin", ""), status = 0;

	check(kill(pid, SIGSTOP) == 0);
	check(wait_child(pid, &status, WUNTRACED, NULL) == pid);
	check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	check(kill(pid, SIGCONT) == 0);
	check(waitpid(pid, &status, WCONTINUED) == pid && status == 0xffff);
	check(kill(pid, SIGTERM) == 0);
	status = wait_status(pid);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* Leaves a child behind that tells, through descriptor 9, who its parent has become. */
int helper_orphan(const char *argument, int argc, char **argv)
{
	int parent;

	if (*argument) {
		parent = atoi(argument);
		eventually(getppid() != parent);
		parent = getppid();
		return write(9, &parent, sizeof(parent)) != sizeof(parent);
	}
	{
		char text[12];

		snprintf(text, sizeof(text), "%d", getpid());
		return spawn_helper("orphan", text) < 0;
	}
}

void test_orphan(void)
{
	int fd[2], parent = -1;

	check(pipe(fd) == 0);
	check(dup2(fd[1], 9) == 9);
	check(run_helper("orphan", "") == 0);
	close(fd[1]);
	close(9);
	check(read(fd[0], &parent, sizeof(parent)) == sizeof(parent));
	check(parent == 1);
}

static int exec_in_child(void *path)
{
	char *const argv[] = { path, NULL };

	execve(path, argv, environ);
	return errno;
}

static int exec_error(const char *path)
{
	int status = wait_status(vfork_call(exec_in_child, (void *)path));

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void test_exec_errors(void)
{
	int fd = open("/tmp/junk", O_WRONLY | O_CREAT | O_TRUNC, 0755), status;

	check(exec_error("/nonexistent") == ENOENT);
	check(exec_error("/tmp") == EACCES);
	check(exec_error("/proc/version") == EACCES);
	check(exec_error("/bin/cat/x") == ENOTDIR);
	check(fd >= 0);
	check(exec_error("/tmp/junk") == ETXTBSY);	/* open for writing */
	close(fd);
	check(exec_error("/tmp/junk") == ENOEXEC);	/* empty */
	fd = open("/tmp/junk", O_WRONLY);
	/* a Wasm module that is no program */
	check(write(fd, "\0asm\1\0\0\0", 8) == 8);
	close(fd);
	check(exec_error("/tmp/junk") == ENOEXEC);
	/* what only the host finds out, too late for an error: a section beyond the file's end */
	fd = open("/tmp/junk", O_WRONLY | O_APPEND);
	check(write(fd, "\0\377\377\377\7\10dylink.0\1\4\0\0\0\0", 20) == 20);
	close(fd);
	status = wait_status(vfork_call(exec_in_child, "/tmp/junk"));
	check(WIFSIGNALED(status) || WEXITSTATUS(status) == ENOEXEC);
	unlink("/tmp/junk");
}

void test_exec_state(void)
{
	char *argv[] = { "/bin/selftest", "--helper", "environment", "THE_ANSWER", NULL };
	char *env[] = { "PATH=/bin", "THE_ANSWER=42", NULL };
	struct spawn how = { .envp = env };

	check(wait_status(spawnvp(argv, &how)) == 42 << 8);
	check(run_helper("environment", "THE_ANSWER") == 200 << 8);
	check(chdir("/proc") == 0);
	argv[0] = "../bin/selftest";	/* found from where we are, with our old path */
	check(wait_status(spawnvp(argv, &how)) == 42 << 8);
}

void test_script(void)
{
	char *const argv[] = { "/tmp/script", "7", NULL };
	int fd = open("/tmp/script", O_WRONLY | O_CREAT | O_TRUNC, 0755);

	check(write(fd, "#!/bin/sh\nexit $(($1 + 1))\n", 27) == 27);
	close(fd);
	check(wait_status(spawnvp(argv, NULL)) == 8 << 8);
	unlink("/tmp/script");
}

static int leave_session(void *arg)
{
	int *ids = arg;

	ids[0] = setsid();
	ids[1] = getpgrp();
	ids[2] = my_syscall1(__NR_getsid, 0);
	ids[3] = getppid();
	ids[4] = getpid();
	return 0;
}

void test_ids(void)
{
	int ids[5], pid;

	check(getpid() == gettid());
	check(getpgrp() == getpid());		/* the runner made a group for us */
	check(getppid() > 1);
	pid = vfork_call(leave_session, ids);
	check(wait_status(pid) == 0);
	check(ids[0] == pid && ids[1] == pid && ids[2] == pid && ids[4] == pid);
	check(ids[3] == getpid());
	check(kill(99999, 0) < 0 && errno == ESRCH);
	check(kill(getpid(), 0) == 0);
	check(kill(getpid(), 99) < 0 && errno == EINVAL);
}

void test_big_arguments(void)
{
	char *argv[70] = { "/bin/selftest", "--helper", "count_arguments", "64" };
	char kilobyte[1024];

	memset(kilobyte, 'x', 1023);
	kilobyte[1023] = 0;
	for (int i = 4; i < 68; i++)
		argv[i] = kilobyte;
	check(wait_status(spawnvp(argv, NULL)) == 0);
}

void test_many_processes(void)
{
	int n = 0, status, ended = 0;

	for (; n < 100; n++)
		if (spawn_helper("sleep", "200") < 0)
			break;
	check(n == 100);
	while (wait_child(-1, &status, 0, NULL) > 0)
		ended += status == 0;
	check(ended == n);
}
