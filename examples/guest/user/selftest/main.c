// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * selftest [NAME...]: runs all tests, or those named, and prints TAP.
 * selftest --list, selftest --run NAME (in this process).
 */
#include "selftest.h"

struct test {
	const char *name, *text;
	void (*run)(void);
};

static const struct test tests[] = {
#define ENTRY(name, text)	{ #name, text, test_##name },
	TESTS(ENTRY)
#undef ENTRY
};

static const struct test *find_test(const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(tests); i++)
		if (!strcmp(tests[i].name, name))
			return &tests[i];
	warnx("%s: no such test", name);
	exit(2);
}

static int run_inside(const char *name)
{
	find_test(name)->run();
	program = name;
	return work_summary("done");
}

static int run_helper_main(int argc, char **argv)
{
	const char *name = argc > 2 ? argv[2] : "", *argument = argc > 3 ? argv[3] : "";

#define RUN(id)	if (!strcmp(name, #id)) return helper_##id(argument, argc, argv);
	HELPERS(RUN)
#undef RUN
	warnx("%s: no such helper", name);
	return 2;
}

int spawn_helper(const char *name, const char *argument)
{
	char *const argv[] = { "/bin/selftest", "--helper", (char *)name, (char *)argument, NULL };
	int pid = spawnvp(argv, NULL);

	check(pid > 0);
	return pid;
}

int wait_status(int pid)
{
	int status = -1, got;

	while ((got = wait_child(pid, &status, 0, NULL)) < 0 && errno == EINTR)
		;
	return got == pid ? status : -1;
}

int run_helper(const char *name, const char *argument)
{
	return wait_status(spawn_helper(name, argument));
}

/* Wait without any help of signals or timers but sleeping; -1: too long. */
static int wait_limited(int pid)
{
	int64_t end = now_ns(CLOCK_MONOTONIC) + TEST_SECONDS * NSEC_PER_SEC, pause = MSEC / 4;
	int status = 0;

	for (;;) {
		int got = wait_child(pid, &status, WNOHANG, NULL);

		if (got == pid)
			return status;
		if (got < 0 && errno != EINTR)
			return -1;
		if (now_ns(CLOCK_MONOTONIC) > end) {
			kill(-pid, SIGKILL);
			wait_child(pid, &status, 0, NULL);
			return -1;
		}
		sleep_ns(pause);
		pause = MIN(pause * 2, 20 * MSEC);
	}
}

/* In a child with a group of its own, the summary line thrown away. */
static int run_test(const struct test *t)
{
	char *const argv[] = { "/bin/selftest", "--run", (char *)t->name, NULL };
	const struct fd_action actions[] = {
		{ .kind = FD_OPEN, .fd = 0, .flags = O_RDONLY, .path = "/dev/null" },
		{ .kind = FD_OPEN, .fd = 1, .flags = O_WRONLY, .path = "/dev/null" },
		{ .kind = FD_END },
	};
	const struct spawn how = { .actions = actions, .flags = SPAWN_GROUP };
	int pid = spawnvp(argv, &how);

	if (pid < 0) {
		warn("spawn");
		return -1;
	}
	return wait_limited(pid);
}

int selftest_main(int argc, char **argv)
{
	int n = argc > 1 ? argc - 1 : (int)ARRAY_SIZE(tests), failed = 0;

	if (argc > 1 && !strcmp(argv[1], "--helper"))
		return run_helper_main(argc, argv);
	if (argc > 2 && !strcmp(argv[1], "--run"))
		return run_inside(argv[2]);
	if (argc > 1 && !strcmp(argv[1], "--list")) {
		for (unsigned int i = 0; i < ARRAY_SIZE(tests); i++)
			printf("%-18s %s\n", tests[i].name, tests[i].text);
		return 0;
	}
	for (int i = 1; i < argc; i++)
		find_test(argv[i]);
	printf("TAP version 13\n1..%d\n", n);
	for (int i = 0; i < n; i++) {
		const struct test *t = argc > 1 ? find_test(argv[i + 1]) : &tests[i];
		int status;

		flush();
		status = run_test(t);
		failed += status != 0;
		printf("%sok %d - %s: %s\n", status ? "not " : "", i + 1, t->name, t->text);
		if (status == -1)
			printf("# took more than %d seconds\n", TEST_SECONDS);
		else if (WIFSIGNALED(status))
			printf("# died of signal %d\n", WTERMSIG(status));
	}
	printf("# %d of %d passed\n", n - failed, n);
	return failed != 0;
}
