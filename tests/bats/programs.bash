# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Processes that behave in a certain way: the small programs of tests/programs, and a process that stands still.
#
#   build_programs NAME...       in setup_file: builds tests/programs/NAME.c for each
#   program NAME ARG...          runs one of them
#   start_program NAME ARG...    in the background, as `start` does; sets PID, and SAID to the file of its output
#   start_still                  a process whose numbers do not change; sets PID
#   start_memoryless             a zombie, ZOMBIE; sets MEMORYLESS to it and, where one is seen, a kernel thread
#   stop PID...                  ends what was started, and waits for its end

build_programs() {
	local name
	for name; do
		cc -std=gnu17 -D_GNU_SOURCE -O1 -I"$TOP" -o "$BATS_FILE_TMPDIR/$name" "$TOP/tests/programs/$name.c" -pthread -lm || return 1
	done
}

program() {
	local name=$1
	shift
	"$BATS_FILE_TMPDIR/$name" "$@"
}

start_program() {
	local name=$1
	shift
	SAID=$(mktemp "$BATS_TEST_TMPDIR/said.XXXXXX")
	start sh -c 'said=$0; exec "$@" >"$said" </dev/null' "$SAID" "$BATS_FILE_TMPDIR/$name" "$@"
	PID=$STARTED
}

# Whether the last program started has said so many lines.
said_lines() {
	[[ $(wc -l <"$SAID") -ge $1 ]]
}

in_state() {
	[[ $(sed 's/.*) \(.\).*/\1/' "/proc/$2/stat") == "$1" ]]
}

has_name() {
	[[ $(tr -d '\n' <"/proc/$2/comm") == "$1" ]]
}

start_still() {
	start sleep 1000
	PID=$STARTED
	retry_until 5 has_name sleep "$PID"
	retry_until 5 in_state S "$PID"
	kill -STOP "$PID"
	retry_until 5 in_state T "$PID"
}

# shellcheck disable=SC2034
start_memoryless() {
	start sh -c 'true & exec sleep 1000'
	retry_until 5 has_name sleep "$STARTED"
	ZOMBIE=$(cat "/proc/$STARTED/task/$STARTED/children")
	ZOMBIE=${ZOMBIE% }
	retry_until 5 in_state Z "$ZOMBIE"
	MEMORYLESS=$ZOMBIE
	[[ ! -e /proc/2/status ]] || ! grep -q '^Kthread:.*1' /proc/2/status || MEMORYLESS+=' 2'
}

# A signal that comes before the shell has become the program may be lost with the shell.
told_to_end() {
	kill -TERM "$1" 2>/dev/null && kill -CONT "$1" 2>/dev/null || return 0
	[[ ! -e /proc/$1/stat ]] || in_state Z "$1"
}

stop() {
	local pid
	for pid; do
		retry_until 20 told_to_end "$pid"
		wait "$pid" 2>/dev/null || true
	done
}
