# SPDX-License-Identifier: GPL-2.0-or-later
# Compares the transcripts of the two drivers:
#   awk -f compare-transcripts.awk -v daemon=rust known-differences lines
# "lines" are those of both-drivers.sh: "DRIVER: SCENARIO: LABEL: RESULT".

function trim(text) {
	gsub(/^ +| +$/, "", text)
	return text
}

# DAEMONS | SCENARIO: LABEL | KERNEL'S RESULT | OURS | REASON
NR == FNR {
	if (/^#/ || /^ *$/)
		next
	if (split($0, field, "|") != 5) {
		print "known-differences:" FNR ": not five fields"
		bad = 1
		next
	}
	if (index(field[1], daemon))
		known[trim(field[2])] = trim(field[3]) " | " trim(field[4])
	next
}

/^(kernel|viofs): [a-z_]+: [^:]+: / {
	split($0, part, ": ")
	key = part[2] ": " part[3]
	text = substr($0, length(part[1]) + length(key) + 5)
	if ((part[1], key) in result) {
		print "label not unique: " key
		bad = 1
	}
	result[part[1], key] = text
	if (!(key in seen))
		order[++keys] = key
	seen[key]
}

# What went wrong before a scenario's own lines mean anything.
/: (KILLED|PREPARATION[^:]*|PIPE): / {
	print "not to happen under any driver: " $0
	bad = 1
}

function result_of(driver, key) {
	return (driver, key) in result ? result[driver, key] : "(no such line)"
}

END {
	for (i = 1; i <= keys; i++) {
		kernel = result_of("kernel", order[i])
		ours = result_of("viofs", order[i])
		if (kernel == ours)
			continue
		if (known[order[i]] == kernel " | " ours) {
			expected++
			continue
		}
		print order[i] "\n    kernel: " kernel "\n    ours:   " ours
		bad = 1
	}
	printf "%d lines compared, %d known differences\n", keys, expected
	if (keys < 50) {
		print "too few lines: the transcript didn't run"
		bad = 1
	}
	exit bad
}
