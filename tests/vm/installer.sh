#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's own installer (the netboot image of Debian 12) takes a preseed file and a package from a
# share, by viofs and by a mount, with nothing but the archive that tools/package makes added to its
# initramfs.
. "$(dirname "$0")/hostlib.sh"
tools=$here/../../tools

# shellcheck disable=SC2016 # expanded by the inner shell
VIOFS_TOOL=installer.sh bash -euc '
. "$1/lib/common.sh"
. "$1/lib/fetch.sh"
fetch() {
	[[ -e $VIOFS_DOWNLOAD/bookworm/installer ]] || {
		fetch_index bookworm
		fetch_packages bookworm "$VIOFS_DOWNLOAD/bookworm/installer.new" \
			debian-installer-12-netboot-amd64
		mv "$VIOFS_DOWNLOAD/bookworm/installer.new" "$VIOFS_DOWNLOAD/bookworm/installer"
	}
}
with_lock fetch' sh "$tools" || fail "the installer's image can't be fetched"
"$tools/vm" prepare --kernel 6.1 || fail "no kernel of Debian 12"
kernel=$VIOFS_BUILD/guest/download/bookworm/kernel
image=$VIOFS_BUILD/guest/download/bookworm/installer/usr/lib/debian-installer/images/12
image=$image/amd64/text/debian-installer/amd64
version=$(basename "$kernel"/usr/lib/modules/* 2>/dev/null)
[ -e "$kernel/usr/lib/modules" ] || version=$(basename "$kernel"/lib/modules/*)
grep -qa "$version" "$image/linux" ||
	skip "the installer's kernel isn't $version, whose modules there are"

"$tools/package" --initrd "$work/archive.tar" --modules "$kernel" || fail "tools/package --initrd"
echo "the archive has $(stat -c %s "$work/archive.tar") bytes"

mkdir "$work/share" "$work/root"
head -c 3000000 /dev/urandom >"$work/share/local.deb"
echo 'd-i debian-installer/locale string en_GB' >"$work/share/more.cfg"
tar -C "$work/root" -xf "$work/archive.tar"
cat >"$work/root/preseed.cfg" <<'END'
d-i preseed/early_command string sh /early >/dev/console 2>&1
END
# What a preseed file would have, and a report.
cat >"$work/root/early" <<'END'
for module in /usr/lib/virtiofs-vfio/modules/$(uname -r)/*.ko; do insmod $module 2>/dev/null; done
mkdir -p /share
viofs get -q myfs more.cfg local.deb /tmp && debconf-set-selections /tmp/more.cfg &&
	echo "early: get ok"
virtiofs-vfio -o ro myfs /share
[ "$(sha256sum </share/local.deb)" = "$(sha256sum </tmp/local.deb)" ] &&
	echo "early: $(sha256sum </share/local.deb)"
umount /share && echo "early: umount ok"
echo "early: locale $(debconf-get debian-installer/locale)"
sync
poweroff -f
END
(cd "$work/root" && find . | cpio --quiet -o -H newc -R 0:0) | gzip -1 >"$work/more.gz"
cat "$image/initrd.gz" "$work/more.gz" >"$work/initrd"
"$tools/vm" boot --image "$image/linux" --initrd "$work/initrd" --share "$work/share" \
	--timeout 400 \
	--cmdline 'auto=true priority=critical DEBIAN_FRONTEND=text' </dev/null >"$work/console" \
	2>"$work/messages" || {
	tail -n 60 "$work/console"
	cat "$work/messages"
	fail "the guest"
}
grep -a '^early: ' "$work/console" || tail -n 60 "$work/console"
for line in 'get ok' 'umount ok' "$(sha256sum <"$work/share/local.deb")" 'locale en_GB'; do
	tr -d '\r' <"$work/console" | grep -aqxF "early: $line" ||
		fail "no line '$line' in the installer"
done
