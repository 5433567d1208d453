#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# docs/cookbook.md: every line of it works, and shows what it says.
load helpers

setup() {
	setup_memfs
	export MNT STATE TMPDIR=$BATS_TEST_TMPDIR MEMFS
}

teardown() {
	teardown_memfs
}

recorded() {
	[[ $(wc -l <"$MNT/local/history/10m") -ge 4 && -s $MNT/local/at/last/stat && $(ls "$MNT/local/ended/") ]]
}

# One JSON object a task: its title, what it runs, what its output has.
tasks() {
	python3 - "$TOP/docs/cookbook.md" <<'PYTHON'
import json, re, sys
text = open(sys.argv[1]).read()
for title, command, shows in re.findall(r"\*\*(\d+\..*?)\*\*[^\n]*\n```sh\n(.*?)\n```\n<!-- shows:([^\n]*?)-->", text, re.S):
    print(json.dumps([title, command, shows.strip()]))
assert text.count("```sh") == text.count("<!-- shows:"), "a task without what it shows"
PYTHON
}

@test 'every task of the cookbook is a line that works' {
	start sleep 1000
	# Something that did not end well.
	sleep 1000 3>&- &
	kill -KILL $!
	retry_until 30 recorded
	tasks >"$BATS_TEST_TMPDIR/tasks"
	[[ $(wc -l <"$BATS_TEST_TMPDIR/tasks") -ge 20 ]]
	run python3 - "$BATS_TEST_TMPDIR/tasks" <<'PYTHON'
import json, os, re, subprocess, sys
mount, state, memfs = (os.environ[name] for name in ("MNT", "STATE", "MEMFS"))
bad = 0
for line in open(sys.argv[1]):
    title, command, shows = json.loads(line)
    here = command.replace("/memfs", mount)
    here = here.replace("memfs history export", f"{memfs} history export -o state={state}")
    done = subprocess.run(["sh", "-c", here], capture_output=True, text=True, errors="replace", timeout=60)
    if done.returncode or not re.search(shows, done.stdout, re.M):
        print(f"{title}: status {done.returncode}\n{here}\n{done.stdout[:500]}{done.stderr[:500]}")
        bad += 1
sys.exit(bad > 0)
PYTHON
	assert_success
}

@test 'what README.md shows first works' {
	local line told=0
	start sleep 1000
	sleep 1000 3>&- &
	kill -KILL $!
	retry_until 30 recorded
	cd "$BATS_TEST_TMPDIR"
	while read -r line; do
		# Nothing was recorded ten minutes ago, and events block.
		line=${line%%  #*}
		line=${line//\/memfs\//$MNT/}
		line=${line/-10m/last}
		run -0 sh -c "${line/timeout 9 cat/timeout 1 cat}"' || [ $? = 124 ]'
		[[ -n $output || $line == cp* ]] || fail "nothing is shown: $line"
		told=$((told + 1))
	done < <(sed -n '/^Then:/,/^Sixteen/s/^    //p' "$TOP/README.md")
	assert_equal "$told" 10
	[[ -s 1d.svg && -s $MNT/local/alerts ]]
}
