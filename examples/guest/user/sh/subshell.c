// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Parts of a script in a shell of their own, which gets our state in its environment. */
#include "sh.h"

int spawn_subshell(const char *text, size_t len, struct spawn *how)
{
	struct arena a = { 0 };
	struct fields argv = { &a, NULL, 0, 0 };
	int pid;

	add_field(&argv, "/bin/sh");
	if (sh.errexit)
		add_field(&argv, "-e");
	if (sh.xtrace)
		add_field(&argv, "-x");
	add_field(&argv, "-c");
	add_field(&argv, arena_strndup(&a, text, len));
	add_field(&argv, sh.argv[0]);
	for (int i = 1; i <= sh.argc; i++)
		add_field(&argv, sh.argv[i]);
	how->envp = make_environment(&a, NULL, 1);
	pid = spawnvp(argv.v, how);
	arena_free(&a);
	if (pid < 0)
		dprintf(2, "sh: cannot start a subshell: %s\n", error_name(errno));
	return pid;
}

char *command_output(const char *text, size_t len, struct arena *a)
{
	struct text output = { 0 };
	struct fd_action actions[2] = { { .kind = FD_DUP, .fd = 1 } };
	struct spawn how = { .actions = actions };
	char buf[512], *result;
	int fd[2], pid, status;
	ssize_t n;

	if (pipe2(fd, O_CLOEXEC) < 0) {
		dprintf(2, "sh: pipe: %s\n", error_name(errno));
		sh.failed = 1;
		return "";
	}
	actions[0].from = fd[1];
	if (sh.job_control)
		how.flags = SPAWN_SIGNALS;	/* stays in our group: Ctrl-C reaches both */
	pid = spawn_subshell(text, len, &how);
	close(fd[1]);
	while (pid > 0) {
		n = read(fd[0], buf, sizeof(buf));
		if (n > 0)
			text_add(&output, buf, n);
		else if (n == 0 || errno != EINTR)
			break;
	}
	close(fd[0]);
	if (pid < 0) {
		sh.failed = 1;
		return "";
	}
	while (wait_child(pid, &status, 0, NULL) < 0 && errno == EINTR)
		;
	sh.substituted = exit_status(status);
	while (output.len && output.p[output.len - 1] == '\n')
		output.len--;
	result = arena_strndup(a, output.p ? output.p : "", output.len);
	text_free(&output);
	return result;
}
