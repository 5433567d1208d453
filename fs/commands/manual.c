/* SPDX-License-Identifier: MIT */
#include "fs/commands/manual.h"

#include "fs/commands/command.h"
#include "fs/options.h"
#include "fs/commands/settings_text.h"

#define DATE "2026-11-25" /* of the last change of what is written here by hand */

/* Text as one or more words of a line: man(7) would read a backslash, a dot at the beginning and a dash its
 * own way. */
static void put_text(struct buf *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		buf_puts(out, "\\&");
	for (; *text; text++) {
		if (*text == '\\')
			buf_puts(out, "\\e");
		else if (*text == '-')
			buf_puts(out, "\\-");
		else
			buf_putc(out, *text);
	}
}

/* The same, of whatever makes its text into a buffer; where that failed `out` has failed too. */
static void put_buf(struct buf *out, struct buf *text)
{
	buf_putc(text, 0);
	out->failed |= text->failed;
	if (!text->failed)
		put_text(out, text->data);
	buf_clear(text);
}

/* A tagged paragraph; `more` stands right behind the tag, not in bold. */
static void put_entry(struct buf *out, const char *tag, const char *more, const char *text)
{
	buf_puts(out, ".TP\n\\fB");
	put_text(out, tag);
	buf_puts(out, "\\fR");
	put_text(out, more);
	buf_putc(out, '\n');
	put_text(out, text);
	buf_putc(out, '\n');
}

/* A command, and indented below it its arguments. */
static void put_command(struct buf *out, const struct command *command)
{
	const struct command_argument *argument;
	CLEANUP_BUF struct buf usage = BUF_INIT;

	buf_printf(&usage, " %s", command->arguments);
	buf_putc(&usage, 0);
	put_entry(out, command->name, usage.failed ? "" : usage.data, command->doc);
	out->failed |= usage.failed;
	buf_puts(out, ".RS\n");
	for (size_t i = 0; (argument = command_argument_at(command, i)); i++)
		put_entry(out, argument->name, "", argument->doc);
	buf_puts(out, ".RE\n");
}

void manual_put_program(struct buf *out)
{
	const struct command *command;
	CLEANUP_BUF struct buf doc = BUF_INIT;
	struct option_info option;

	buf_puts(out,
		".\\\" Made by memfs --help --man; do not edit.\n"
		".TH MEMFS 1 " DATE " \"memfs " MEMFS_VERSION "\"\n"
		".SH NAME\n"
		"memfs \\- the memory of machines, as files\n"
		".SH SYNOPSIS\n"
		".B memfs\n.I COMMAND\n.RI [ ARGUMENT ...]\n"
		".SH DESCRIPTION\n"
		"memfs makes a directory in which the machine and each of its processes have their memory numbers, rates\n"
		"and history as plain text:\n"
		".BR cat (1)\nreads,\n.BR echo (1)\nsets,\n.BR ls (1)\nfinds.\n"
		"What is in it is described in\n.BR memfs (5).\n"
		"As root the mount is for everyone; mounted by an ordinary user it is that user's alone.\n"
		".SH COMMANDS\n");
	for (size_t i = 0; (command = command_at(i)); i++) {
		if (command->doc)
			put_command(out, command);
	}
	put_entry(out, "--help", "", "what there is, on one screen; behind a command, how it is called");
	put_entry(out, "--version", "", "the version");
	buf_puts(out, ".SH OPTIONS OF MOUNT\nIn parentheses what they are if not given.\n");
	for (size_t i = 0; options_describe(i, &option); i++) {
		options_put_doc(i, &doc);
		buf_putc(&doc, 0);
		put_entry(out, option.name, option.takes_value ? "=VALUE" : "", doc.failed ? "" : doc.data);
		out->failed |= doc.failed;
		buf_clear(&doc);
	}
	buf_puts(out,
		".SH RECORDS OF A COMMAND\n"
		".B memfs run\nbecomes the command, with\n.B libmemfs\\-preload.so\nin front of what is preloaded, and tells it by\n"
		".BR MEMFS_TRACE ,\n.BR MEMFS_FOLLOW ,\n.B MEMFS_RUN\nand\n.B MEMFS_SHADOW\nhow to record.\n"
		"It goes to the memfs of\n.BI run= DIR\nor\n.BR MEMFS_RUN ,\nelse to that of the user, else to all in\n.IR /run/memfs* .\n"
		"What stands in the way (no memfs, a static or setuid program, no library) is said on standard error once.\n"
		".PP\nWith\n.B \\-\\-report\nthe command is a child. After its end this is on standard error:\n"
		".PP\n.EX\nmemfs: pid PID ended with BYTES bytes in N blocks not freed\n"
		"suspect_bytes suspect_blocks live_bytes live_blocks oldest_age rate_1m caller symbol module\n\\&...\n.EE\n"
		".PP\nwhich are the first twenty places of\n.I leaks/callers\nof its remains in\n.IR ended/ ,\nseparated by TAB.\n"
		"Where blocks could not be recorded, the first line ends with their number.\n"
		".SH FIND A LEAK\nThree commands, of which the first has every block on record:\n"
		".PP\n.EX\nmemfs run \\-\\- ./server &\nhead /memfs/local/$!/leaks/callers\ngrep \\-P \\(aq\\etleak\\et\\(aq /memfs/local/events\n.EE\n"
		".PP\nThe second, after a minute, shows the places in the code with the most bytes that are not freed; the one with a\n"
		".I rate_1m\nthat stays is a leak, a cache levels off.\nThe third waits, and tells of each place that comes to 1 MiB of them\n"
		"or grows steadily by as much, once each.\n"
		".PP\nWith\n.B \\-\\-trace stacks\nthe path that leads there is in\n.I leaks/folded\nand drawn in\n.IR leaks/flame.svg .\n"
		"A program that runs already is recorded from\n"
		".B echo exact >/memfs/local/PID/leaks/trace\non, if it was started with\n.BR LD_PRELOAD=libmemfs\\-preload.so .\n"
		"What a program that died had not freed is in\n.IR /memfs/local/ended .\n"
		".SH EXIT STATUS\n0 fine, 1 failed, 2 called wrongly. The reason is on standard error.\n"
		".B memfs run\nends as the command does; 125: it is not run\n.RB ( \\-\\-require ),\n"
		"126: it cannot be run, 127: it is not found.\n"
		".SH ENVIRONMENT\n"
		".TP\n.B MEMFS_TRACE\noff, exact, sample [BYTES], stacks [BYTES]: what a program with the library records from its first call on\n"
		".TP\n.B MEMFS_RUN\nthe run directory of the memfs that takes its records\n"
		".TP\n.BR XDG_RUNTIME_DIR \" and \" XDG_STATE_HOME\n"
		"where an ordinary user's sockets and history are\n"
		".TP\n.B NOTIFY_SOCKET\n"
		"with\n.BR \"mount \\-f\" ,\nthe service manager that is told when the tree answers\n"
		".SH FILES\n"
		".TP\n.I /memfs\nwhere it is mounted by custom, and by the systemd unit\n"
		".TP\n.I /var/lib/memfs\nhistory and the id of the node\n"
		".TP\n.I /run/memfs\nsockets, the session of tables, the log\n"
		".SH NOTES\n"
		".B updatedb\nfrom\n.BR plocate (1)\n"
		"passes over memfs where\n.B fuse.memfs\nis among PRUNEFS in\n.IR /etc/updatedb.conf .\n"
		".SH EXAMPLES\n"
		".EX\n"
		"memfs mount /memfs\n"
		"cat /memfs/local/available\n"
		"head \\-11 /memfs/local/top/rss\n"
		"mount \\-t memfs memfs /memfs \\-o freshness_ms=50\n"
		"echo \\(aqmemfs /memfs memfs nofail 0 0\\(aq >>/etc/fstab\n"
		".EE\n"
		".SH SEE ALSO\n"
		".BR memfs (5),\n.BR mount.memfs (8),\n.BR memfs\\-collector (8),\n.BR proc (5)\n");
}

static void put_directory(struct buf *out, const struct tree *tree, uint16_t dir)
{
	const struct tree_row *row = &tree->row[dir];
	CLEANUP_BUF struct buf text = BUF_INIT;

	buf_puts(out, ".SS /");
	tree_pattern(tree, dir, &text);
	put_buf(out, &text);
	buf_putc(out, '\n');
	put_text(out, row->node->doc);
	buf_putc(out, '\n');
	for (uint16_t i = 0; i < row->n_children; i++) {
		const struct node *child = tree->row[row->first_child + i].node;
		buf_puts(out, ".TP\n\\fB");
		tree_put_name(child, &text);
		put_buf(out, &text);
		buf_printf(out, "\\fR (%s", tree_class_letter(child->class));
		if (child->unit) {
			buf_puts(out, ", ");
			put_text(out, child->unit);
		}
		if (child->class >= NODE_NUMBER && child->mode != 0444)
			buf_printf(out, ", %04o", (unsigned)child->mode);
		buf_puts(out, child->hidden ? ", found by name, not listed)\n" : ")\n");
		put_text(out, child->doc);
		buf_putc(out, '\n');
	}
}

static void put_settings(struct buf *out)
{
	buf_puts(out, ".SH SETTINGS\n" SETTINGS_INTRODUCTION "\n");
	for (int i = 0; i < N_SETTINGS; i++) {
		CLEANUP_BUF struct buf text = BUF_INIT;
		buf_puts(&text, " (");
		settings_put_range(i, &text);
		buf_puts(&text, ")");
		buf_putc(&text, 0);
		put_entry(out, setting_rows[i].name, text.failed ? "" : text.data, setting_rows[i].doc);
		out->failed |= text.failed;
	}
}

void manual_put_tree(const struct tree *tree, struct buf *out)
{
	buf_puts(out,
		".\\\" Made by memfs tree --man from the tables in fs/nodes/; do not edit.\n"
		".TH MEMFS 5 " DATE " \"memfs " MEMFS_VERSION "\"\n"
		".SH NAME\n"
		"memfs \\- the files of a mounted memfs\n"
		".SH DESCRIPTION\n"
		"Every file below a mount of\n.BR memfs (1),\n"
		"with its class, its unit, and its mode where it is not 0444. Names in capitals stand for what is there.\n"
		".TP\n.B A\na number or a few, not older than the setting\n.IR freshness_ms ;\n"
		"in files of several a line is a key and a value\n"
		".TP\n.B B\na setting: reads back what would set it; a write is applied whole or refused whole\n"
		".TP\n.B C\na table: TAB between columns, their names in the first line, a snapshot at each open. It is a\n"
		"symbolic link:\n.B stat \\-L\nand\n.B cp \\-L\nfollow it\n"
		".TP\n.B D\na stream: reads block until there is news;\n.BR poll (2)\nworks\n"
		".PP\n"
		"Memory is in bytes, times are in seconds, rates in bytes per second, unless the name or the unit says\n"
		"otherwise.\n.B \\-\nis what is not known. NAME[.json] is found as NAME.json too, the same for programs.\n"
		"Bytes of names that would break a line are written \\eooo, as in\n.IR /proc/mounts .\n"
		".SH FILES\n");
	for (uint16_t dir = 0; dir < tree->n; dir++) {
		if (tree->row[dir].node->class == NODE_DIR)
			put_directory(out, tree, dir);
	}
	put_settings(out);
	buf_puts(out, ".SH ERRORS\n"
		      "They come from\n.BR read (2)\nand\n.BR write (2),\nnot from\n.BR open (2).\n"
		      "The reason of your last refused write is in\n.IR why .\n"
		      ".TP\n.B ESRCH\nthe process is gone\n"
		      ".TP\n.B ENODATA\nthis is not known here or not yet\n"
		      ".TP\n.BR EINVAL \" and \" ERANGE\nwhat was written makes no sense\n"
		      ".TP\n.B ECONNREFUSED\nno collector runs\n"
		      ".SH SEE ALSO\n"
		      ".BR memfs (1),\n.BR proc (5)\n");
}
