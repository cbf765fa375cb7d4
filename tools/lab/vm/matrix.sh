# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the other files of this folder
# tools/test --matrix: every way in that can be had here, one boot each.

# matrix_options KERNEL IOMMU WAY DMA RING QUEUES DEVICE QEMU: sets matrix_argv, the options of
# tools/vm.
matrix_options() {
	local set=''
	matrix_argv=(--kernel "$1" --iommu "$2" --queues "$6" --qemu "$8" --driver none
		--timeout 300)
	[[ $3 != noiommu* ]] || matrix_argv+=(--cmdline vfio.enable_unsafe_noiommu_mode=1)
	[[ $4 != translated ]] || set+=' -set device.fs0.iommu_platform=on'
	[[ $5 != packed ]] || set+=' -set device.fs0.packed=on'
	[[ -z $set ]] || matrix_argv+=(--qemu-opts "$set")
	if [[ $7 == own ]]; then
		matrix_argv+=(--virtiofsd "$VIOFS_BUILD/tests/device/viofs-device"
			--virtiofsd-opts "--strict --queues $6$([[ $4 != translated ]] ||
				printf ' --iommu')$([[ $5 != packed ]] ||
				printf ' --packed')")
	else
		matrix_argv+=(--virtiofsd "$7")
	fi
}

# matrix_row COLUMN...: one row; its outcome is a line on standard output, and the function's.
matrix_row() {
	local status=0
	matrix_options "$@"
	quiet with_directory "$VIOFS_ROOT/tools/vm" run --share DIRECTORY "${matrix_argv[@]}" -- \
		reach.sh "$3" "$4" "$5" "$6" || status=$?
	printf '%-4s Linux %s, IOMMU %s, %s, DMA %s, %s rings, %s queues, device %s, QEMU %s\n' \
		"$([[ $status == 0 ]] && echo ok || echo FAIL)" "$@"
	return "$status"
}

# matrix_run [WORD...]: the rows that have all of these words; counts them in passed and failed.
matrix_run() {
	local row word
	local -a columns
	while read -r -a columns <&3; do
		for word; do
			[[ " ${columns[*]} " == *" $word "* ]] || continue 2
		done
		if matrix_row "${columns[@]}" \
			3<&-; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
	done 3< <(read_list "$VIOFS_VM/matrix.list")
}
