// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The shell's start, and where it gets its commands from. */
#include "sh.h"

struct shell sh;

static void on_interrupt(int sig)
{
	sh.interrupted = 1;
}

/*
 * Run the complete commands in text[0..len).  Returns what is left over: 0,
 * or the length of an unfinished command at the end.  *result tells how the
 * parser ended.
 */
static size_t run_commands(const char *text, size_t len, struct parser *p)
{
	*p = (struct parser){ .text = text, .len = len };
	for (;;) {
		struct arena a = { 0 };
		size_t start = p->at;
		struct node *n;

		p->arena = &a;
		n = parse_line(p);
		if (!n) {
			arena_free(&a);
			return p->result == PARSE_INCOMPLETE ? len - start : 0;
		}
		run_node(n);
		arena_free(&a);
		if (sh.flow == FLOW_RETURN || sh.interrupted)
			return 0;
	}
}

int run_text(const char *text, size_t len)
{
	struct parser p;

	sh.depth++;
	run_commands(text, len, &p);
	sh.depth--;
	if (p.result == PARSE_ERROR || p.result == PARSE_INCOMPLETE) {
		warnx("%s", p.message);
		sh.status = 2;
	}
	return sh.status;
}

int run_file(const char *path)
{
	struct text t;
	int status;

	if (read_file(path, &t) < 0)
		return -1;
	status = run_text(t.p, t.len);
	text_free(&t);
	return status;
}

/* ---- lines from a terminal or a pipe */

static void prompt(int continued)
{
	const char *p = get_variable(continued ? "PS2" : "PS1");

	put(p ? p : continued ? "> " : "# ");
	flush();
}

/* Append what can be read; -1: the end.  Not a byte beyond the line from a pipe. */
static int more_input(struct text *t, int fd)
{
	char buf[256];
	ssize_t n;

	if (!sh.interactive) {
		while ((n = read(fd, buf, 1)) == 1) {
			text_putc(t, buf[0]);
			if (buf[0] == '\n')
				return 0;
		}
		return n == 0 && t->len ? 1 : -1;
	}
	n = read(fd, buf, sizeof(buf));
	if (n > 0) {
		text_add(t, buf, n);
		return buf[n - 1] == '\n' ? 0 : more_input(t, fd);
	}
	return n < 0 && (errno == EINTR || sh.interrupted) ? 0 : -1;
}

int run_input(int fd)
{
	struct text t = { 0 };
	int more = 0;
	struct parser p;
	size_t left;

	for (;;) {
		if (sh.interactive) {
			check_jobs(1);
			prompt(t.len > 0);
		}
		more = more_input(&t, fd);
		if (sh.interrupted) {
			sh.interrupted = 0;
			dprintf(2, "\n");
			t.len = 0;
			sh.status = 130;
			continue;
		}
		if (more < 0)
			break;
		left = run_commands(t.p ? t.p : "", t.len, &p);
		if (sh.interrupted && sh.interactive)
			dprintf(2, "\n");
		sh.interrupted = 0;
		sh.flow = FLOW_NONE;
		if (p.result == PARSE_ERROR) {
			warnx("%s", p.message);
			sh.status = 2;
			if (!sh.interactive)
				return 2;
		}
		memmove(t.p, t.p + t.len - left, left);
		t.len = left;
		if (more > 0)
			break;
	}
	if (t.len) {
		warnx("syntax error: unexpected end");
		sh.status = 2;
	}
	text_free(&t);
	return sh.status;
}

/* ---- start */

static void start_interactive(void)
{
	int group;

	sh.interactive = 1;
	handle_signal(SIGINT, on_interrupt, 0);
	handle_signal(SIGQUIT, HANDLER_IGN, 0);
	handle_signal(SIGTSTP, HANDLER_IGN, 0);
	handle_signal(SIGTTIN, HANDLER_IGN, 0);
	handle_signal(SIGTTOU, HANDLER_IGN, 0);
	sh.tty = fcntl(0, F_DUPFD_CLOEXEC, 10);
	if (sh.tty < 0 || ioctl(sh.tty, TIOCGPGRP, &group) < 0) {
		warnx("not the controlling terminal: no job control");
		return;
	}
	setpgid(0, 0);			/* fails for a session leader, which needs it not */
	sh.group = getpgrp();
	tcsetpgrp(sh.tty, sh.group);
	sh.job_control = 1;
}

int sh_main(int argc, char **argv)
{
	char *command = NULL;
	int at = 1, option, interactive = 0, status;

	while ((option = next_option(argc, argv, "c:exils", &at)) >= 0) {
		switch (option) {
		case 'c': command = option_value; break;
		case 'e': sh.errexit = 1; break;
		case 'x': sh.xtrace = 1; break;
		case 'i': interactive = 1; break;
		case '?': return 2;
		}
	}
	program = "sh";
	sh.pid = getpid();
	import_environment();
	if (!get_variable("PATH"))
		set_variable("PATH", "/bin");
	sh.argv = argv + at;
	sh.argc = argc - at - 1;
	if (at >= argc) {
		static char *name[2];

		name[0] = "sh";
		sh.argv = name;
		sh.argc = 0;
	}
	if (command)
		return run_text(command, strlen(command));
	if (at < argc) {
		status = run_file(argv[at]);
		if (status >= 0)
			return status;
		warn(argv[at]);
		return 127;
	}
	if (interactive || is_tty(0))
		start_interactive();
	status = run_input(0);
	if (sh.interactive)
		dprintf(2, "exit\n");
	return status;
}
