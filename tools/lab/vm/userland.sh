# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# The guest's userland: programs installed on this machine and what they need, as a read-only
# squashfs.
#
#   $VIOFS_GUEST/userland.sqfs   the image
#   $VIOFS_GUEST/userland.list   the machine's files in it; they also tell when the image is out of
#                                date

USERLAND_IMAGE=$VIOFS_GUEST/userland.sqfs
USERLAND_LIST=$VIOFS_GUEST/userland.list

# userland_key: changes with the lists, this code, and every file (not directory) that went into the
# image.
userland_key() {
	{
		cat "$VIOFS_VM"/{userland.sh,closure.py} \
			"$VIOFS_LIB"/packages/{userland,guest-tests}
		tr '\n' '\0' <"$USERLAND_LIST" | xargs -0 stat -c '%f %s %Y %n' -- 2>&1 | grep -v ^4
	} | sha256sum
}

userland_is_current() {
	[[ -e $USERLAND_IMAGE && -e $USERLAND_LIST && -e $USERLAND_IMAGE.key ]] &&
		[[ $(userland_key) == "$(<"$USERLAND_IMAGE.key")" ]]
}

# userland_files: what the packages of the lists hold, documentation and the like aside.
userland_files() {
	local patterns packages without
	mapfile -t patterns < <(read_list "$VIOFS_LIB/packages/userland" &&
		read_list "$VIOFS_LIB/packages/guest-tests")
	mapfile -t packages < <(dpkg-query -W -f '${db:Status-Abbrev}${binary:Package}\n' \
		"${patterns[@]}" 2>/dev/null |
		sed -n 's/^ii *//p' | sort -u)
	without='^/(usr/share/(doc|doc-base|man|info|locale|lintian|bash-completion|bug|menu|icons'
	without+='|pixmaps|applications|gitweb|metainfo)/|boot/|var/)'
	without+='|/gconv/|/python3[^/]*/(test|idlelib|tkinter|lib2to3)/'
	dpkg-query -L "${packages[@]}" | grep -vE "$without"
	# not in the packages: byte code, links that update-alternatives makes, what PAM's scripts
	# write
	find /usr/lib/python3* -name '*.pyc' -not -path '*/dist-packages/*'
	printf '%s\n' /usr/bin/awk /usr/bin/which /etc/pam.d/* /etc/ld.so.conf.d/* /etc/magic
}

# userland_accounts ETC: root, nobody, and a user with id 1000.
userland_accounts() {
	local etc=$1
	cat >"$etc/passwd" <<-'END'
		root:x:0:0:root:/root:/bin/bash
		daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
		user:x:1000:1000:user:/home/user:/bin/bash
		nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
	END
	cat >"$etc/group" <<-'END'
		root:x:0:
		daemon:x:1:
		tty:x:5:
		disk:x:6:
		fuse:x:110:
		users:x:100:user
		user:x:1000:
		nogroup:x:65534:
	END
	cat >"$etc/shadow" <<-'END'
		root:*:19000::::::
		user:*:19000::::::
		nobody:*:19000::::::
	END
	chmod 600 "$etc/shadow"
}

# userland_skeleton DIR: the directories and files of a system that no package holds.
userland_skeleton() {
	local dir=$1
	mkdir -p "$dir"/{dev,proc,sys,run,tmp,mnt,root,home/user,etc,var/{tmp,log,lib,cache}}
	chmod 1777 "$dir"/tmp "$dir"/var/tmp
	chmod 700 "$dir"/root
	ln -sfn /run "$dir/var/run"
	ln -sfn /proc/self/mounts "$dir/etc/mtab"
	userland_accounts "$dir/etc"
	printf '127.0.0.1 localhost guest\n' >"$dir/etc/hosts"
	printf 'guest\n' >"$dir/etc/hostname"
	printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n' \
		>"$dir/etc/nsswitch.conf"
	: >"$dir/etc/fstab"
	[[ -e $dir/usr/sbin/mount.fuse ]] || ln -s mount.fuse3 "$dir/usr/sbin/mount.fuse"
}

# userland_build: makes the image anew, in a subshell, whose end removes what it worked in.
userland_build() (
	local stage
	say "making the guest's userland image"
	stage=$(mktemp -d "$VIOFS_GUEST/userland.XXXXXX")
	# shellcheck disable=SC2064 # the value of now
	trap "rm -rf -- '$stage'" EXIT
	userland_files | "$VIOFS_VM/closure.py" >"$USERLAND_LIST"
	tar -C / -cf - --no-recursion --files-from <(sed 's,^/,,' "$USERLAND_LIST") |
		tar -C "$stage" -xpf -
	userland_skeleton "$stage"
	ldconfig -r "$stage" 2>/dev/null || true
	quiet mksquashfs "$stage" "$USERLAND_IMAGE.new" \
		-noappend -no-progress -all-root -comp lz4 ||
		die 1 "mksquashfs cannot make $USERLAND_IMAGE"
	mv "$USERLAND_IMAGE.new" "$USERLAND_IMAGE"
	userland_key >"$USERLAND_IMAGE.key"
)

userland_prepare() {
	userland_is_current || userland_build
}
