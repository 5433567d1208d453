#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# NAME.json beside tables and flat-keyed files: the same facts, as programs read them.
load helpers
load programs

setup() {
	setup_memfs "proc=$(fixture linux-6.18)"
}

teardown() {
	teardown_memfs
}

@test 'each table and flat-keyed file has a twin that says the same' {
	"$MEMFS" tree --markdown | awk '/^## \// { dir = substr($2, 2) } / [^ ]*\[\.json/ { sub(/\[.*/, "", $2); print dir "/" $2 }' |
		sed "s,NODE/,$NODE/,; s,/PID/,/11905/,; s,/COMM/,/cat/,; s,^/,," >"$BATS_TEST_TMPDIR/files"
	[[ $(wc -l <"$BATS_TEST_TMPDIR/files") -ge 14 ]]
	run python3 - "$MNT" "$BATS_TEST_TMPDIR/files" <<'PYTHON'
import errno, json, os, re, sys

mount, files = sys.argv[1:]
OWN = {"status", "why", "errors"}  # made anew at each open, or of ourselves
number = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?\Z")

def value(cell, twin):
    if cell == "-":
        return None
    return float(cell) if number.match(cell) and not isinstance(twin, str) else cell

tried = 0
for name in open(files).read().split():
    if "DURATION" in name or not os.path.exists(f"{mount}/{name}"):
        continue
    try:
        text = open(f"{mount}/{name}", errors="surrogateescape", newline="").read()
    except OSError as plain:
        # What has no data has no twin with any: leaks/ of a process without the shim.
        assert plain.errno == errno.ENODATA, name
        try:
            open(f"{mount}/{name}.json").read()
        except OSError as twin:
            assert twin.errno == plain.errno, name
            continue
        raise
    text = re.sub("[\udc80-\udcff]", lambda byte: f"\\{ord(byte[0]) - 0xdc00:03o}", text)
    twin = json.load(open(f"{mount}/{name}.json", encoding="utf-8"))
    if isinstance(twin, dict):
        lines = [line.split(None, 1) for line in text.split("\n")[:-1]]
        wanted = {key: value(rest[0] if rest else "", twin.get(key)) for key, *rest in lines}
    else:
        head, *rows = [line.split("\t") for line in text.split("\n")[:-1]]
        if os.path.basename(name) not in OWN and "history" not in name:
            assert len(rows) == len(twin), name
        wanted = [{key: value(cell, row[key]) for key, cell in zip(head, cells)} for cells, row in zip(rows, twin)]
    if os.path.basename(name) in OWN or "rate" in name or "history" in name:
        assert type(twin) is type(wanted), name
        if isinstance(twin, dict):
            assert list(twin) == list(wanted), name
    elif wanted and isinstance(wanted, list) and "rate_1m" in wanted[0]:
        strip = lambda rows: [{k: v for k, v in row.items() if not k.startswith("rate_")} for row in rows]
        assert strip(twin) == strip(wanted), name
    else:
        assert twin == wanted, (name, twin, wanted)
    tried += 1
assert tried >= 14, tried
print(tried, "twins")
PYTHON
	assert_success
}

@test 'a twin is found by name and not listed, and only where there is a form to it' {
	[[ -e $MNT/local/stat.json && ! -e $MNT/local/total.json && ! -e $MNT/local/top.json && ! -e $MNT/local/11905.json ]]
	[[ ! -e $MNT/local/stat.json.json && ! -e $MNT/local/.json ]]
	run -1 sh -c 'ls -R "$1" | grep json' sh "$MNT/local/"
}

@test 'names are strings, also those that look like numbers' {
	run -0 python3 - "$MNT/local/processes.json" <<'PYTHON'
import json, sys
rows = json.load(open(sys.argv[1]))
assert rows and all(isinstance(row["comm"], str) and isinstance(row["pid"], int) for row in rows)
PYTHON
}

@test 'a twin of what is told to one alone is told to one alone' {
	echo 'history_days 0' >"$MNT/local/config" 2>/dev/null || true
	run -0 python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["errno"])' "$MNT/why.json"
	assert_output ERANGE
	run -0 setpriv --reuid=nobody --regid=nogroup --clear-groups cat "$MNT/local/errors.json"
	refute_output --partial ERANGE
	run -0 cat "$MNT/local/errors.json"
	assert_output --partial ERANGE
}

@test 'a twin cannot be written' {
	run -1 bash -c 'echo 5 >"$1/local/config.json"' bash "$MNT"
	echo 'history_days 9' >"$MNT/local/config"
	run -0 python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["history_days"])' "$MNT/local/config.json"
	assert_output 9
}

@test 'by-id leads to the node' {
	local id
	id=$(cat "$MNT/local/id")
	assert_equal "$(ls "$MNT/by-id" | grep -v README)" "$id"
	assert_equal "$(readlink "$MNT/by-id/$id")" "../nodes/$NODE"
	assert_equal "$(cat "$MNT/by-id/$id/total")" "$(cat "$MNT/local/total")"
	[[ ! -e $MNT/by-id/$NODE && ! -e $MNT/by-id/00000000-0000-0000-0000-000000000000 ]]
}

@test 'every directory has a README that names what is there' {
	local dir name
	while read -r dir; do
		[[ -s $dir/README ]] || fail "no README in $dir"
		for name in $(ls "$dir" | grep -v '^[0-9]*$'); do
			[[ $dir == */by-* || $dir == */nodes ]] || grep -q "^$name " "$dir/README" || fail "$dir/README does not name $name"
		done
	done < <(find "$MNT/" -maxdepth 4 -type d ! -path '*/nodes/*/[0-9]*' -o -path '*/11905*' -type d)
	grep -q '^COMM ' "$MNT/local/by-name/README"
}
