// SPDX-License-Identifier: GPL-2.0-or-later
/* Transcript: rename in all its refusals, and renameat2's flags. */
#include "transcript.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void rename_files(void)
{
	transcript_make("a", "a");
	transcript_make("b", "bb");
	transcript_result("file over file", rename("a", "b"));
	transcript_content("what is left", "b");
	transcript_stat("what is gone", "a");
	transcript_result("missing", rename("none", "b"));
	transcript_result("onto itself", rename("b", "b"));
	transcript_result("into missing directory", rename("b", "none/b"));
	transcript_result("hard link", link("b", "b2"));
	transcript_result("over own hard link", rename("b", "b2"));
	transcript_stat("both stay", "b");
	transcript_result("symlink moved", symlink("b", "s") || rename("s", "s2"));
	transcript_stat("moved symlink", "s2");
}

static void rename_directories(void)
{
	mkdir("d1", 0755);
	mkdir("d2", 0755);
	mkdir("d2/sub", 0755);
	transcript_make("d1/f", "f");
	transcript_result("directory over full directory", rename("d1", "d2"));
	transcript_result("rmdir of full directory", rmdir("d2"));
	transcript_result("rmdir", rmdir("d2/sub"));
	transcript_result("directory over empty directory", rename("d1", "d2"));
	transcript_stat("moved with it", "d2/f");
	transcript_result("into its own child", rename("d2", "d2/x"));
	transcript_result("directory over file", rename("d2", "b"));
	transcript_result("file over directory", rename("b", "d2"));
	transcript_result("through a file", rename("b", "b2/x"));
	transcript_result("dot", rename(".", "x"));
	transcript_result("unlink a directory", unlink("d2"));
	transcript_result("rmdir a file", rmdir("b"));
	transcript_result("rmdir missing", rmdir("none"));
	mkdir("p", 0755);
	transcript_result("to another parent", rename("d2", "p/d2"));
	transcript_stat("new parent's links", "p");
	transcript_stat("old parent's links", ".");
	transcript_result("parent into child", rename("p", "p/d2/p"));
	transcript_result("back with slash", rename("p/d2/", "d3/"));
	transcript_result("file with slash", rename("b", "b3/"));
}

void scenario_rename(void)
{
	rename_files();
	rename_directories();
}

static long rename_with(const char *label, const char *from, const char *to, unsigned int flags)
{
	return transcript_result(label, renameat2(AT_FDCWD, from, AT_FDCWD, to, flags));
}

void scenario_rename_flags(void)
{
	transcript_make("a", "a");
	transcript_make("b", "bb");
	mkdir("d", 0755);
	transcript_make("d/f", "in d");
	rename_with("NOREPLACE on existing", "a", "b", RENAME_NOREPLACE);
	rename_with("NOREPLACE on new", "a", "c", RENAME_NOREPLACE);
	transcript_content("moved", "c");
	rename_with("EXCHANGE files", "b", "c", RENAME_EXCHANGE);
	transcript_content("first exchanged", "b");
	transcript_content("second exchanged", "c");
	rename_with("EXCHANGE with directory", "b", "d", RENAME_EXCHANGE);
	transcript_stat("now a file", "d");
	transcript_stat("now a directory", "b");
	transcript_content("content moved along", "b/f");
	rename_with("EXCHANGE with missing", "b", "none", RENAME_EXCHANGE);
	rename_with("NOREPLACE and EXCHANGE", "b", "c", RENAME_NOREPLACE | RENAME_EXCHANGE);
	rename_with("WHITEOUT", "c", "w", RENAME_WHITEOUT);
	transcript_stat("what WHITEOUT left", "c");
	transcript_content("what WHITEOUT moved", "w");
	rename_with("WHITEOUT and EXCHANGE", "w", "c", RENAME_WHITEOUT | RENAME_EXCHANGE);
	rename_with("unknown flag", "w", "x", 1U << 10);
}
