// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Commands that run in the shell itself. */
#include "sh.h"

static int true_builtin(int argc, char **argv)
{
	return 0;
}

static int false_builtin(int argc, char **argv)
{
	return 1;
}

static int cd_builtin(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : get_variable("HOME");
	char cwd[256];

	if (argc > 1 && !strcmp(dir, "-"))
		dir = get_variable("OLDPWD");
	if (!dir) {
		warnx("cd: no directory to go to");
		return 1;
	}
	if (!getcwd(cwd, sizeof(cwd)))
		cwd[0] = 0;
	if (chdir(dir) < 0) {
		warn(dir);
		return 1;
	}
	set_variable("OLDPWD", cwd);
	if (getcwd(cwd, sizeof(cwd)))
		set_variable("PWD", cwd);
	return 0;
}

static int exit_builtin(int argc, char **argv)
{
	if (sh.interactive)
		check_jobs(0);
	exit(argc > 1 ? atoi(argv[1]) : sh.status);
}

static int export_builtin(int argc, char **argv)
{
	if (argc == 1) {
		for (struct variable *v = all_variables(); v; v = v->next)
			if (v->exported && v->value)
				printf("export %s=%s\n", v->name, v->value);
		return 0;
	}
	for (int i = 1; i < argc; i++) {
		char *equals = strchr(argv[i], '=');

		if (equals)
			*equals = 0;
		if (!is_name(argv[i], strlen(argv[i]))) {
			warnx("%s: not a name", argv[i]);
			return 1;
		}
		if (equals)
			set_variable(argv[i], equals + 1);
		export_variable(argv[i]);
	}
	return 0;
}

static int unset_builtin(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		unset_variable(argv[i]);
	return 0;
}

static int set_builtin(int argc, char **argv)
{
	int i = 1;

	if (argc == 1) {
		for (struct variable *v = all_variables(); v; v = v->next)
			if (v->value)
				printf("%s=%s\n", v->name, v->value);
		return 0;
	}
	for (; i < argc && (argv[i][0] == '-' || argv[i][0] == '+') && argv[i][1]; i++) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		for (char *c = argv[i] + 1; *c; c++) {
			if (*c == 'e')
				sh.errexit = argv[i][0] == '-';
			else if (*c == 'x')
				sh.xtrace = argv[i][0] == '-';
			else {
				warnx("set: only -e, -x and -- are known");
				return 2;
			}
		}
	}
	if (i < argc || (i > 1 && !strcmp(argv[i - 1], "--"))) {
		char **new = heap_alloc((argc - i + 2) * sizeof(*new));

		/* The old ones may be a caller's: not given back. */
		new[0] = sh.argv[0];
		for (sh.argc = 0; i < argc; i++)
			new[++sh.argc] = heap_strdup(argv[i]);
		sh.argv = new;
	}
	return 0;
}

static int shift_builtin(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1;
	char *name = sh.argv[0];

	if (n < 0 || n > sh.argc) {
		warnx("shift: too few arguments");
		return 1;
	}
	sh.argv += n;
	sh.argv[0] = name;
	sh.argc -= n;
	return 0;
}

/* One line from standard input, a byte at a time: what follows is for others. */
static int read_builtin(int argc, char **argv)
{
	const char *ifs = get_variable("IFS");
	struct text line = { 0 };
	int raw = argc > 1 && !strcmp(argv[1], "-r"), i = 1 + raw, status = 1;
	char c, *p;

	ifs = ifs ? ifs : " \t\n";
	while (read(0, &c, 1) == 1) {
		if (c == '\n') {
			status = 0;
			break;
		}
		if (c == '\\' && !raw && (read(0, &c, 1) != 1 || c == '\n'))
			continue;
		text_putc(&line, c);
	}
	p = line.p ? line.p : "";
	for (; i < argc; i++) {
		char *start;

		while (*p && strchr(ifs, *p) && isspace(*p))
			p++;
		start = p;
		if (i == argc - 1) {		/* the last one takes the rest */
			char *end = p + strlen(p);

			while (end > p && strchr(ifs, end[-1]) && isspace(end[-1]))
				*--end = 0;
			set_variable(argv[i], start);
			break;
		}
		while (*p && !strchr(ifs, *p))
			p++;
		if (*p)
			*p++ = 0;
		set_variable(argv[i], start);
	}
	text_free(&line);
	return status;
}

static int flow_builtin(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1;

	if (!sh.loops)
		return 0;
	sh.flow = argv[0][0] == 'b' ? FLOW_BREAK : FLOW_CONTINUE;
	sh.flow_count = count < 1 ? 1 : MIN(count, sh.loops);
	return 0;
}

static int return_builtin(int argc, char **argv)
{
	if (!sh.depth) {
		warnx("return: not in a function");
		return 1;
	}
	sh.flow = FLOW_RETURN;
	return argc > 1 ? atoi(argv[1]) : sh.status;
}

static int eval_builtin(int argc, char **argv)
{
	struct text t = { 0 };
	int status;

	for (int i = 1; i < argc; i++) {
		if (i > 1)
			text_putc(&t, ' ');
		text_puts(&t, argv[i]);
	}
	status = t.p ? run_text(t.p, t.len) : 0;
	text_free(&t);
	return status;
}

static int source_builtin(int argc, char **argv)
{
	int status;

	if (argc < 2) {
		warnx(".: which file?");
		return 2;
	}
	sh.depth++;
	status = run_file(argv[1]);
	sh.depth--;
	if (sh.flow == FLOW_RETURN)
		sh.flow = FLOW_NONE;
	if (status < 0) {
		warn(argv[1]);
		return 1;
	}
	return status;
}

static int exec_builtin(int argc, char **argv)
{
	struct arena a = { 0 };
	int error;

	if (argc == 1)
		return 0;
	if (sh.interactive) {
		static const char signals[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };

		for (unsigned int i = 0; i < sizeof(signals); i++)
			handle_signal(signals[i], HANDLER_DFL, 0);
	}
	flush();
	execvpe(argv + 1, make_environment(&a, NULL, 0));
	error = errno;
	warn(argv[1]);
	exit(error == ENOENT ? 127 : 126);
}

static int wait_builtin(int argc, char **argv)
{
	int status = 0;

	if (argc == 1)
		return wait_for_all();
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '%') {
			struct job *j = find_job(argv[i]);

			status = j ? wait_for_pid(j->pid[j->n - 1]) : 127;
		} else {
			status = wait_for_pid(atoi(argv[i]));
		}
	}
	return status;
}

static int jobs_builtin(int argc, char **argv)
{
	list_jobs();
	return 0;
}

static int resume_builtin(int argc, char **argv)
{
	struct job *j = find_job(argv[1]);

	if (!j) {
		warnx("%s: no such job", argv[0]);
		return 1;
	}
	dprintf(2, "%s\n", j->text);
	return resume_job(j, argv[0][0] == 'f');
}

/* kill, with %job as well as process ids. */
static int kill_builtin(int argc, char **argv)
{
	struct arena a = { 0 };
	struct fields args = { &a, NULL, 0, 0 };
	int i = 1, status;

	add_field(&args, argv[0]);
	if (argc > 1 && argv[1][0] == '-' && argv[1][1] != '-')
		add_field(&args, argv[i++]);
	else if (argc > 1)
		add_field(&args, "-TERM");	/* so that -GROUP is not taken for a signal */
	for (; i < argc; i++) {
		struct job *j = argv[i][0] == '%' ? find_job(argv[i]) : NULL;
		char *group = arena_alloc(&a, 16);

		if (argv[i][0] == '%' && !j) {
			warnx("kill: %s: no such job", argv[i]);
			arena_free(&a);
			return 1;
		}
		/* Without job control the job is no group of its own. */
		if (j)
			snprintf(group, 16, sh.job_control ? "-%d" : "%d", j->group);
		add_field(&args, j ? group : argv[i]);
	}
	status = kill_main(args.n, args.v);
	arena_free(&a);
	return status;
}

static int pwd_builtin(int argc, char **argv)
{
	return pwd_main(argc, argv);
}

static int type_builtin(int argc, char **argv)
{
	int status = 0;

	for (int i = 1; i < argc; i++) {
		if (find_function(argv[i]))
			printf("%s is a function\n", argv[i]);
		else if (find_builtin(argv[i]))
			printf("%s is a shell builtin\n", argv[i]);
		else if (is_applet(argv[i]))
			printf("%s is /bin/%s\n", argv[i], argv[i]);
		else {
			printf("%s: not found\n", argv[i]);
			status = 1;
		}
	}
	return status;
}

static int umask_builtin(int argc, char **argv)
{
	if (argc > 1) {
		umask(strtol(argv[1], NULL, 8));
	} else {
		mode_t mask = umask(0);

		umask(mask);
		printf("%04o\n", mask);
	}
	return 0;
}

static int help_builtin(int argc, char **argv);

#define BUILTINS(X)							\
	X(".", source) X(":", true) X("[", bracket) X("bg", resume)	\
	X("break", flow) X("cd", cd) X("continue", flow) X("echo", echo)	\
	X("eval", eval) X("exec", exec) X("exit", exit)			\
	X("export", export) X("false", false) X("fg", resume)		\
	X("help", help) X("jobs", jobs) X("kill", kill) X("pwd", pwd)	\
	X("read", read) X("return", return) X("set", set)		\
	X("shift", shift) X("test", test) X("true", true)		\
	X("type", type) X("umask", umask) X("unset", unset) X("wait", wait)

static int echo_builtin(int argc, char **argv)
{
	return echo_main(argc, argv);
}

static int test_builtin(int argc, char **argv)
{
	return test_main(argc, argv);
}

static int bracket_builtin(int argc, char **argv)
{
	return test_main(argc, argv);
}

builtin find_builtin(const char *name)
{
#define TRY(text, id)	if (!strcmp(name, text)) return id##_builtin;
	BUILTINS(TRY)
#undef TRY
	return NULL;
}

static int help_builtin(int argc, char **argv)
{
	int column = 0;

#define SHOW(name)							\
	if ((column += sizeof(name)) > 76) {				\
		putchar('\n');						\
		column = sizeof(name);					\
	}								\
	put(" " name);
#define SHOW_BUILTIN(name, id)	SHOW(name)
#define SHOW_APPLET(id, name)	SHOW(name)
	puts("Builtins of the shell:");
	BUILTINS(SHOW_BUILTIN)
	puts("\nPrograms:");
	column = 0;
	APPLETS(SHOW_APPLET)
#undef SHOW_APPLET
#undef SHOW_BUILTIN
#undef SHOW
	putchar('\n');
	return 0;
}
