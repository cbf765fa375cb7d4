// SPDX-License-Identifier: GPL-2.0-or-later
/* Transcript: what another user may do, sticky directories, supplementary groups. */
#include "transcript.h"

#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void as_stranger(void)
{
	transcript_fd("reads 0600", open("f600", O_RDONLY));
	transcript_fd("reads 0604", open("f604", O_RDONLY));
	transcript_fd("writes 0604", open("f604", O_WRONLY));
	transcript_fd("writes 0606", open("f606", O_WRONLY));
	transcript_result("access 0604 for reading", access("f604", R_OK));
	transcript_result("access 0604 for writing", access("f604", W_OK));
	transcript_result("access 0604 for execution", access("f604", X_OK));
	transcript_fd("creates in 0755", open("new", O_WRONLY | O_CREAT, 0644));
	transcript_fd("creates in 0777", open("d777/new", O_WRONLY | O_CREAT, 0644));
	transcript_stat("the created", "d777/new");
	transcript_fd("lists 0711", open("d711", O_RDONLY | O_DIRECTORY));
	transcript_fd("reads in 0711", open("d711/f", O_RDONLY));
	transcript_fd("lists 0744", open("d744", O_RDONLY | O_DIRECTORY));
	transcript_fd("reads in 0744", open("d744/f", O_RDONLY));
	transcript_result("mkdir in 0755", mkdir("sub", 0755));
	transcript_result("mkdir in 0777", mkdir("d777/sub", 0755));
	transcript_result("symlink in 0755", symlink("x", "s"));
	transcript_result("unlinks in 0755", unlink("f606"));
	transcript_result("renames in 0755", rename("f606", "f606b"));
	transcript_result("links from 0755", link("f604", "d777/l"));
	transcript_result("truncates 0604", truncate("f604", 0));
	transcript_result("executes 0604", execl("./f604", "f604", NULL));
}

void scenario_access(void)
{
	static const struct {
		const char *name;
		mode_t mode;
	} files[] = { { "f600", 0600 }, { "f604", 0604 }, { "f606", 0606 } },
	  dirs[] = { { "d777", 0777 }, { "d711", 0711 }, { "d744", 0744 } };
	char name[16];

	for (int i = 0; i < 3; i++) {
		transcript_make(files[i].name, "content");
		chmod(files[i].name, files[i].mode);
		mkdir(dirs[i].name, 0755);
		snprintf(name, sizeof(name), "%s/f", dirs[i].name);
		transcript_make(name, "content");
		chmod(dirs[i].name, dirs[i].mode);
	}
	transcript_as(TRANSCRIPT_USER, TRANSCRIPT_GROUP, as_stranger);
	transcript_result("root executes 0604", access("f604", X_OK));
	transcript_make("script", "#!/nowhere\n");
	chmod("script", 0711);
	transcript_result("root executes 0711", access("script", X_OK));
}

static void as_neighbour(void)
{
	transcript_result("unlinks another's", unlink("tmp/theirs"));
	transcript_result("renames another's", rename("tmp/theirs", "tmp/x"));
	transcript_result("renames over another's", rename("tmp/mine", "tmp/theirs"));
	transcript_result("removes another's directory", rmdir("tmp/dir"));
	transcript_result("unlinks own", unlink("tmp/mine"));
	transcript_fd("creates", open("tmp/new", O_WRONLY | O_CREAT, 0644));
	transcript_fd("opens another's with O_CREAT",
		      open("tmp/writable", O_WRONLY | O_CREAT, 0644));
}

static void as_owner(void)
{
	transcript_result("owner of the directory unlinks", unlink("tmp/theirs"));
}

void scenario_sticky(void)
{
	mkdir("tmp", 0777);
	transcript_result("sticky", chmod("tmp", 01777));
	transcript_stat("the directory", "tmp");
	transcript_make("tmp/theirs", "x");
	transcript_make("tmp/mine", "x");
	transcript_make("tmp/writable", "x");
	chmod("tmp/writable", 0666);
	mkdir("tmp/dir", 0777);
	chown("tmp/mine", TRANSCRIPT_USER, TRANSCRIPT_GROUP);
	chown("tmp/theirs", TRANSCRIPT_OTHER, TRANSCRIPT_GROUP);
	transcript_as(TRANSCRIPT_USER, TRANSCRIPT_GROUP, as_neighbour);
	chown("tmp", TRANSCRIPT_USER, 0);
	transcript_as(TRANSCRIPT_USER, TRANSCRIPT_GROUP, as_owner);
}

static void as_member(void)
{
	transcript_fd("member reads 0640", open("shared", O_RDONLY));
	transcript_fd("member writes 0640", open("shared", O_WRONLY));
	transcript_fd("member creates in 0770", open("team/f", O_WRONLY | O_CREAT, 0644));
	transcript_stat("the member's file", "team/f");
	transcript_result("member's chgrp", chown("team/f", -1, TRANSCRIPT_GROUP));
	transcript_stat("the member's file after chgrp", "team/f");
}

/* TRANSCRIPT_GROUP is a supplementary group here, not the primary one. */
static void join_and_try(void)
{
	gid_t groups[] = { TRANSCRIPT_GROUP };

	if (setgroups(1, groups) ||
	    setresgid(TRANSCRIPT_OTHER, TRANSCRIPT_OTHER, TRANSCRIPT_OTHER) ||
	    setresuid(TRANSCRIPT_USER, TRANSCRIPT_USER, TRANSCRIPT_USER))
		err(2, "joining a group");
	as_member();
}

static void as_outsider(void)
{
	transcript_fd("outsider reads 0640", open("shared", O_RDONLY));
	transcript_fd("outsider creates in 0770", open("team/g", O_WRONLY | O_CREAT, 0644));
}

void scenario_groups(void)
{
	transcript_make("shared", "x");
	chown("shared", 0, TRANSCRIPT_GROUP);
	chmod("shared", 0640);
	mkdir("team", 0770);
	chown("team", 0, TRANSCRIPT_GROUP);
	chmod("team", 02770);
	transcript_child(join_and_try);
	transcript_as(TRANSCRIPT_OTHER, TRANSCRIPT_OTHER, as_outsider);
}
