# SPDX-License-Identifier: MIT
# Small programs of tests/programs, for suites that need a process to behave in a certain way.

# In setup_file: builds tests/programs/NAME.c for each NAME.
build_programs() {
	local name
	for name; do
		cc -std=gnu17 -D_GNU_SOURCE -O1 -o "$BATS_FILE_TMPDIR/$name" \
			"$BATS_TEST_DIRNAME/../programs/$name.c" -pthread || return 1
	done
}

# program NAME ARGUMENTS...: runs one of them.
program() {
	local name=$1
	shift
	"$BATS_FILE_TMPDIR/$name" "$@"
}

# start NAME ARGUMENTS...: runs one, or any command, in the background until `stop`, and sets `pid`. What it says is
# in the file `said`.
start() {
	said=$(mktemp "$BATS_TEST_TMPDIR/said.XXXXXX")
	local name=$1
	shift
	[ -x "$BATS_FILE_TMPDIR/$name" ] && name=$BATS_FILE_TMPDIR/$name
	"$name" "$@" >"$said" 2>&1 3>&- </dev/null &
	pid=$!
	started="$started $pid"
}

# stop [PID]: ends what was started, or one of it, and waits for its end.
stop() {
	local one
	for one in ${1:-$started}; do
		kill -TERM "$one" 2>/dev/null || true
		kill -CONT "$one" 2>/dev/null || true
		wait "$one" 2>/dev/null || true
	done
}

# said_lines N: whether the last one started has said so many lines.
said_lines() {
	[ "$(wc -l <"$said")" -ge "$1" ]
}

# still: starts a process that does not run, so that none of its numbers changes; sets `pid`.
still() {
	start sleep 1000
	retry_until 5 is_in_state S "$pid"
	kill -STOP "$pid"
	retry_until 5 is_in_state T "$pid"
}

is_in_state() {
	[ "$(sed 's/.*) \(.\).*/\1/' "/proc/$2/stat")" = "$1" ]
}
