-- SPDX-License-Identifier: GPL-2.0-or-later
-- Dissector of what `viofsctl capture -w` writes (docs/capture.md), for Wireshark and tshark 3.6 and newer.

-- Of each opcode: name, names behind the struct, fields of its struct, fields of the reply's: "name:bytes", "." is
-- padding. Made of tools/viofs/raw_table.c: the test `dissector` compares, and renews it with --write.
-- begin of table
local OPS = {
	[1] = { "LOOKUP", "name",
		"",
		"nodeid:8 generation:8 entry_valid:8 attr_valid:8 entry_valid_nsec:4 attr_valid_nsec:4 ino:8 size:8 blocks:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 ctimensec:4 mode:4 nlink:4 uid:4 gid:4 rdev:4 blksize:4 flags:4" },
	[2] = { "FORGET", "",
		"nlookup:8",
		"" },
	[3] = { "GETATTR", "",
		"getattr_flags:4 .:4 fh:8",
		"attr_valid:8 attr_valid_nsec:4 .:4 ino:8 size:8 blocks:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 ctimensec:4 mode:4 nlink:4 uid:4 gid:4 rdev:4 blksize:4 flags:4" },
	[4] = { "SETATTR", "",
		"valid:4 .:4 fh:8 size:8 lock_owner:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 ctimensec:4 mode:4 .:4 uid:4 gid:4 .:4",
		"attr_valid:8 attr_valid_nsec:4 .:4 ino:8 size:8 blocks:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 ctimensec:4 mode:4 nlink:4 uid:4 gid:4 rdev:4 blksize:4 flags:4" },
	[5] = { "READLINK", "",
		"",
		"" },
	[6] = { "SYMLINK", "name target",
		"",
		"nodeid:8 generation:8 entry_valid:8 attr_valid:8 entry_valid_nsec:4 attr_valid_nsec:4 ino:8 size:8 blocks:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 ctimensec:4 mode:4 nlink:4 uid:4 gid:4 rdev:4 blksize:4 flags:4" },
	[8] = { "MKNOD", "name",
		"mode:4 rdev:4 umask:4 .:4",
		"nodeid:8 generation:8 entry_valid:8 attr_valid:8 entry_valid_nsec:4 attr_valid_nsec:4 ino:8 size:8 blocks:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 ctimensec:4 mode:4 nlink:4 uid:4 gid:4 rdev:4 blksize:4 flags:4" },
	[9] = { "MKDIR", "name",
		"mode:4 umask:4",
		"nodeid:8 generation:8 entry_valid:8 attr_valid:8 entry_valid_nsec:4 attr_valid_nsec:4 ino:8 size:8 blocks:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 ctimensec:4 mode:4 nlink:4 uid:4 gid:4 rdev:4 blksize:4 flags:4" },
	[10] = { "UNLINK", "name",
		"",
		"" },
	[11] = { "RMDIR", "name",
		"",
		"" },
	[12] = { "RENAME", "name newname",
		"newdir:8",
		"" },
	[13] = { "LINK", "name",
		"oldnodeid:8",
		"nodeid:8 generation:8 entry_valid:8 attr_valid:8 entry_valid_nsec:4 attr_valid_nsec:4 ino:8 size:8 blocks:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 ctimensec:4 mode:4 nlink:4 uid:4 gid:4 rdev:4 blksize:4 flags:4" },
	[14] = { "OPEN", "",
		"flags:4 open_flags:4",
		"fh:8 open_flags:4 backing_id:4" },
	[15] = { "READ", "",
		"fh:8 offset:8 size:4 io_flags:4 lock_owner:8 flags:4 .:4",
		"" },
	[16] = { "WRITE", "",
		"fh:8 offset:8 size:4 io_flags:4 lock_owner:8 flags:4 .:4",
		"size:4 .:4" },
	[17] = { "STATFS", "",
		"",
		"blocks:8 bfree:8 bavail:8 files:8 ffree:8 bsize:4 namelen:4 frsize:4 .:28" },
	[18] = { "RELEASE", "",
		"fh:8 flags:4 release_flags:4 lock_owner:8",
		"" },
	[20] = { "FSYNC", "",
		"fh:8 fsync_flags:4 .:4",
		"" },
	[21] = { "SETXATTR", "name",
		"size:4 flags:4",
		"" },
	[22] = { "GETXATTR", "name",
		"size:4 .:4",
		"size:4 .:4" },
	[23] = { "LISTXATTR", "",
		"size:4 .:4",
		"size:4 .:4" },
	[24] = { "REMOVEXATTR", "name",
		"",
		"" },
	[25] = { "FLUSH", "",
		"fh:8 .:8 lock_owner:8",
		"" },
	[26] = { "INIT", "",
		"",
		"" },
	[27] = { "OPENDIR", "",
		"flags:4 open_flags:4",
		"fh:8 open_flags:4 backing_id:4" },
	[28] = { "READDIR", "",
		"fh:8 offset:8 size:4 io_flags:4 lock_owner:8 flags:4 .:4",
		"" },
	[29] = { "RELEASEDIR", "",
		"fh:8 flags:4 release_flags:4 lock_owner:8",
		"" },
	[30] = { "FSYNCDIR", "",
		"fh:8 fsync_flags:4 .:4",
		"" },
	[31] = { "GETLK", "",
		"fh:8 owner:8 start:8 end:8 type:4 pid:4 lk_flags:4 .:4",
		"start:8 end:8 type:4 pid:4" },
	[32] = { "SETLK", "",
		"fh:8 owner:8 start:8 end:8 type:4 pid:4 lk_flags:4 .:4",
		"" },
	[33] = { "SETLKW", "",
		"fh:8 owner:8 start:8 end:8 type:4 pid:4 lk_flags:4 .:4",
		"" },
	[34] = { "ACCESS", "",
		"mask:4 .:4",
		"" },
	[35] = { "CREATE", "name",
		"flags:4 mode:4 umask:4 open_flags:4",
		"nodeid:8 generation:8 entry_valid:8 attr_valid:8 entry_valid_nsec:4 attr_valid_nsec:4 ino:8 size:8 blocks:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 ctimensec:4 mode:4 nlink:4 uid:4 gid:4 rdev:4 blksize:4 flags:4 fh:8 open_flags:4 backing_id:4" },
	[36] = { "INTERRUPT", "",
		"unique:8",
		"" },
	[37] = { "BMAP", "",
		"block:8 blocksize:4 .:4",
		"block:8" },
	[38] = { "DESTROY", "",
		"",
		"" },
	[39] = { "IOCTL", "",
		"fh:8 flags:4 cmd:4 arg:8 in_size:4 out_size:4",
		"result:4 flags:4 in_iovs:4 out_iovs:4" },
	[40] = { "POLL", "",
		"fh:8 kh:8 flags:4 events:4",
		"revents:4 .:4" },
	[42] = { "BATCH_FORGET", "",
		"count:4 .:4 forget_nodeid:8 nlookup:8",
		"" },
	[43] = { "FALLOCATE", "",
		"fh:8 offset:8 length:8 mode:4 .:4",
		"" },
	[44] = { "READDIRPLUS", "",
		"fh:8 offset:8 size:4 io_flags:4 lock_owner:8 flags:4 .:4",
		"" },
	[45] = { "RENAME2", "name newname",
		"newdir:8 flags:4 .:4",
		"" },
	[46] = { "LSEEK", "",
		"fh:8 offset:8 whence:4 .:4",
		"offset:8" },
	[47] = { "COPY_FILE_RANGE", "",
		"fh_in:8 off_in:8 nodeid_out:8 fh_out:8 off_out:8 len:8 flags:8",
		"size:4 .:4" },
	[50] = { "SYNCFS", "",
		".:8",
		"" },
	[51] = { "TMPFILE", "name",
		"flags:4 mode:4 umask:4 open_flags:4",
		"nodeid:8 generation:8 entry_valid:8 attr_valid:8 entry_valid_nsec:4 attr_valid_nsec:4 ino:8 size:8 blocks:8 atime:8 mtime:8 ctime:8 atimensec:4 mtimensec:4 ctimensec:4 mode:4 nlink:4 uid:4 gid:4 rdev:4 blksize:4 flags:4 fh:8 open_flags:4 backing_id:4" },
	[52] = { "STATX", "",
		"getattr_flags:4 .:4 fh:8 sx_flags:4 sx_mask:4",
		"attr_valid:8 attr_valid_nsec:4 flags:4 .:16 mask:4 blksize:4 attributes:8 nlink:4 uid:4 gid:4 mode:2 .:2 ino:8 size:8 blocks:8 attributes_mask:8 atime:8 atimensec:4 .:4 btime:8 btimensec:4 .:4 ctime:8 ctimensec:4 .:4 mtime:8 mtimensec:4 .:4 rdev_major:4 rdev_minor:4 dev_major:4 dev_minor:4 .:112" },
	[53] = { "COPY_FILE_RANGE_64", "",
		"fh_in:8 off_in:8 nodeid_out:8 fh_out:8 off_out:8 len:8 flags:8",
		"bytes_copied:8" },
}
-- end of table
local LONG_SETXATTR = "size:4 flags:4 setxattr_flags:4 .:4"
local SETXATTR = 21
local KINDS = { "request", "reply", "answer", "kick", "interrupt", "notification", "fault" }
local REQUEST, REPLY, KICK, INTERRUPT, NOTIFICATION, FAULT = 1, 2, 4, 5, 6, 7
local HEADER = 88
local IN_HEADER, OUT_HEADER = 40, 16
local WTAP_USER0 = 45

local viofs = Proto("viofs", "virtio-fs request")
local f = {
	version = ProtoField.uint8("viofs.version", "Version"),
	kind = ProtoField.uint8("viofs.kind", "Kind", base.DEC, KINDS),
	queue = ProtoField.uint16("viofs.queue", "Queue"),
	slot = ProtoField.uint16("viofs.slot", "Slot"),
	flags = ProtoField.uint16("viofs.flags", "Flags", base.HEX),
	len = ProtoField.uint32("viofs.len", "Length of the message"),
	kernel_unique = ProtoField.uint64("viofs.kernel_unique", "Unique, the kernel's"),
	unique = ProtoField.uint64("viofs.unique", "Unique, the device's"),
	nodeid = ProtoField.uint64("viofs.nodeid", "Node ID"),
	opcode = ProtoField.uint32("viofs.opcode", "Opcode"),
	op = ProtoField.string("viofs.op", "Operation"),
	error = ProtoField.int32("viofs.error", "Error"),
	uid = ProtoField.uint32("viofs.uid", "User"),
	gid = ProtoField.uint32("viofs.gid", "Group"),
	pid = ProtoField.uint32("viofs.pid", "Process"),
	waited = ProtoField.uint64("viofs.waited_ns", "Waited before it was sent, ns"),
	device = ProtoField.uint64("viofs.device_ns", "In the device, ns"),
	total = ProtoField.uint64("viofs.total_ns", "From read to reply, ns"),
	name = ProtoField.string("viofs.name", "Name"),
	data = ProtoField.bytes("viofs.data", "Data"),
	fault = ProtoField.string("viofs.fault", "Fault"),
}
-- Fields of FUSE's structs: viofs.fuse.NAME.
local structs = {}

local function each_field(list, call)
	for name, size in list:gmatch("(%S+):(%d+)") do
		if call(name, tonumber(size)) == false then
			return
		end
	end
end

for _, op in pairs(OPS) do
	for _, list in ipairs({ op[3], op[4], LONG_SETXATTR }) do
		each_field(list, function(name)
			if name ~= "." and not structs[name] then
				structs[name] = ProtoField.uint64("viofs.fuse." .. name, name)
			end
		end)
	end
end
for name, field in pairs(structs) do
	f["fuse." .. name] = field
end
viofs.fields = f

-- As many fields as there are. Return: where the next byte is.
local function add_struct(tree, list, range, at, last)
	each_field(list, function(name, size)
		if at + size > last then
			at = last
			return false
		end
		if name ~= "." then
			tree:add_le(structs[name], range(at, size))
		end
		at = at + size
	end)
	return at
end

-- Return: what follows, and the first name.
local function add_names(tree, names, range, at, last)
	local first
	for _ in names:gmatch("%S+") do
		if at >= last then
			break
		end
		local size = range(at, last - at):bytes():raw():find("\0", 1, true) or last - at
		tree:add(f.name, range(at, size))
		first = first or range(at, size):stringz()
		at = at + size
	end
	return at, first
end

local function add_request(tree, op, flags, opcode, range, last)
	local list = op[3]
	if opcode == SETXATTR and flags % 2 == 1 then
		list = LONG_SETXATTR
	end
	local at, name = add_struct(tree, list, range, HEADER + IN_HEADER, last), nil
	at, name = add_names(tree, op[2], range, at, last)
	if at < last then
		tree:add(f.data, range(at, last - at))
	end
	return name
end

local function add_reply(tree, op, fixed, range, last)
	local at = HEADER + OUT_HEADER
	local ends = math.min(at + fixed, last)
	at = add_struct(tree, op[4], range, at, ends)
	at = math.max(at, ends)
	if at < last then
		tree:add(f.data, range(at, last - at))
	end
end

function viofs.dissector(buffer, pinfo, root)
	local last = buffer:len()
	if last < HEADER or buffer(0, 1):uint() ~= 1 then
		return 0
	end
	local kind, opcode = buffer(1, 1):uint(), buffer(40, 4):le_uint()
	local op, err = OPS[opcode], buffer(44, 4):le_int()
	local what = KINDS[kind] or "?"
	local tree = root:add(viofs, buffer())
	pinfo.cols.protocol = "virtio-fs"
	tree:add(f.version, buffer(0, 1))
	tree:add(f.kind, buffer(1, 1))
	tree:add_le(f.queue, buffer(2, 2))
	tree:add_le(f.slot, buffer(4, 2))
	tree:add_le(f.flags, buffer(6, 2))
	tree:add_le(f.len, buffer(12, 4))
	tree:add_le(f.kernel_unique, buffer(16, 8))
	tree:add_le(f.unique, buffer(24, 8))
	tree:add_le(f.error, buffer(44, 4))
	if kind == REQUEST or kind == REPLY or kind == FAULT then
		tree:add_le(f.nodeid, buffer(32, 8))
		tree:add_le(f.opcode, buffer(40, 4))
		tree:add(f.op, buffer(40, 4), op and op[1] or "?")
		tree:add_le(f.uid, buffer(48, 4))
		tree:add_le(f.gid, buffer(52, 4))
		tree:add_le(f.pid, buffer(56, 4))
		what = (op and op[1] or "?") .. " " .. what
	end
	if kind == REQUEST then
		tree:add_le(f.waited, buffer(64, 8))
		local name = op and add_request(tree, op, buffer(6, 2):le_uint(), opcode, buffer, last)
		what = what .. (name and " " .. name or "")
	elseif kind == REPLY then
		tree:add_le(f.device, buffer(72, 8))
		tree:add_le(f.total, buffer(80, 8))
		if op then
			add_reply(tree, op, buffer(60, 4):le_uint(), buffer, last)
		end
		what = what .. (err ~= 0 and " error " .. err or "")
	elseif kind == FAULT and last > HEADER then
		tree:add(f.fault, buffer(HEADER))
		what = what .. ": " .. buffer(HEADER):string()
	end
	pinfo.cols.info = what
	pinfo.cols.src = (kind == REQUEST or kind == KICK) and "driver" or "device"
	pinfo.cols.dst = (kind == REQUEST or kind == KICK) and "device" or "driver"
	return last
end

DissectorTable.get("wtap_encap"):add(WTAP_USER0, viofs)
