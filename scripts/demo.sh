#!/usr/bin/env bash
# The main job from beginning to end. REPO= names the git repository to import, FILE= the path in it to ask about.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/graven/target}
repository=$(cd "${REPO:-.}" && pwd)
dir=$(mktemp -d)
server_pid=

clean_up() {
    [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null || true
    rm -rf "$dir"
}
trap clean_up EXIT

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

fail() {
    echo "The demo went wrong: $*" >&2
    exit 1
}

# Shows a graven command as a person would type it, runs it, and insists on its exit code.
expect() {
    local wanted=$1 code=0
    shift
    echo "\$ graven $*"
    "$graven" "$@" </dev/null || code=$?
    [ "$code" = "$wanted" ] || fail "graven $1 ended with $code, not with $wanted"
}

# Starts a development ledger in a new directory, shows what it says, and lets the commands that follow use it.
start_server() {
    "$graven" serve --dev --dir "$1" --listen 127.0.0.1:0 >serve.out 2>serve.err &
    server_pid=$!
    for _ in $(seq 300); do
        grep -q '^key ' serve.out && break
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    grep -q '^key ' serve.out || fail "the server did not start: $(cat serve.out serve.err)"
    cat serve.out
    GRAVEN_SERVER=$(sed -n 's/^listening on *//p' serve.out)
    GRAVEN_KEY=$(sed -n 's/^key *//p' serve.out)
    export GRAVEN_SERVER GRAVEN_KEY
}

git -C "$repository" rev-parse --verify -q HEAD >/dev/null || fail "$repository is no git repository with a commit"

say 'Building.'
cargo build --release --locked
graven=$(realpath "$CARGO_TARGET_DIR/release/graven")
incident=$PWD/tests/data/incident.jsonl
cd "$dir"

say 'A ledger starts: a new directory, a new key, and nobody but this machine can reach it.'
echo "\$ graven serve --dev --dir ledger &"
start_server ledger
echo 'The key is public. Whoever checks this ledger has to get it from somebody they trust; here, from this terminal.'

say 'A real history goes in: every change of every commit becomes a record, sealed before it is acknowledged.'
expect 0 import git "$repository"

say 'A second import adds nothing: each record has an id of its own.'
"$graven" -q log kind = event -o jsonl >log
entries=$(wc -l <log)
[ "$entries" -gt 0 ] || fail 'nothing was imported'
expect 0 import git "$repository"
"$graven" -q log kind = event -o jsonl >log.again
cmp -s log log.again || fail 'the second import changed the ledger'
echo "The ledger has $entries records."

# The target that was asked for, or the one with the most changes.
if [ -n "${FILE:-}" ]; then
    target=$(grep -o '"uri":"git://[^"]*//[^"]*"' log | grep -F "//$FILE\"" | head -n 1) ||
        fail "no record is about $FILE"
else
    target=$(grep -o '"targets":\[{"uri":"git://[^"]*//[^"]*"' log | sed 's/^"targets":\[{//' |
        sort | uniq -c | sort -k1,1nr -k2 | sed -n '1s/^ *[0-9]* //p')
fi
[ -n "$target" ] || fail 'no record is about a file'
path=${target##*//}
path=${path%\"}

field() { sed -E "s/.*\"$1\":\"?([^,\"}]*).*/\1/"; }

say "Who changed $path, when, and from what to what?"
uri=${target#'"uri":"'}
uri=${uri%'"'}
echo "\$ graven log --target '$uri' -o jsonl >changes"
"$graven" log --target "$uri" -o jsonl >changes
changes=$(wc -l <changes)
[ "$changes" = "$(grep -cF "$target" log)" ] || fail "the answer has $changes changes of $path"
tail -n 8 changes | while IFS= read -r row; do
    before=$(sed 's/,"after":.*//; s/.*"before"://' <<<"$row" | grep -o 'git-sha[0-9]*:[0-9a-f]*' | head -n 1) || before=nothing
    after=$(grep -o '"after":[^}]*' <<<"$row" | grep -o 'git-sha[0-9]*:[0-9a-f]*' | head -n 1) || after=nothing
    printf '%6s  %-20.20s  %-32.32s  %-12s  %.18s → %.18s\n' "$(field seq <<<"$row")" \
        "$(field occurred_at <<<"$row")" "$(field actor <<<"$row")" "$(field action <<<"$row")" "$before" "$after"
done
[ "$changes" -le 8 ] || echo "(the newest 8 of $changes)"
if blob=$(git -C "$repository" rev-parse --verify -q "HEAD:$path"); then
    if grep -q ":$blob\"" changes; then
        echo "git says that $path is ${blob:0:12} now, and the ledger has the record that made it so."
    elif [ "$(git -C "$repository" rev-parse --is-shallow-repository)" = false ]; then
        fail "git says that $path is $blob, of which the ledger knows nothing"
    fi
fi

seq=$(tail -n 1 changes | field seq)
say "Record $seq is taken out as evidence, for somebody who has no access to this ledger."
expect 0 prove "$seq" --out evidence.json

say 'They check it with the file and the key alone. No server is asked.'
GRAVEN_SERVER='' expect 0 verify evidence.json

say 'The whole ledger is checked over the network, record by record.'
expect 0 verify --server "$GRAVEN_SERVER"

say 'The server stops, and its directory is checked: records, tree, ids, and the last checkpoint it signed.'
kill "$server_pid"
wait "$server_pid" || fail "the server ended with $?: $(cat serve.err)"
server_pid=
unset GRAVEN_SERVER
expect 0 verify --dir ledger

say 'Now somebody with root changes one byte in a copy of that directory.'
cp -a ledger tampered
victim=$(find tampered/store -name '*.sst' -o -name '*.log' | xargs -d '\n' ls -S | head -n 1)
offset=$(($(stat -c %s "$victim") / 2))
byte=$(od -An -tu1 -j "$offset" -N 1 "$victim" | tr -d ' ')
printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$victim" bs=1 seek="$offset" conv=notrunc status=none
echo "byte $offset of store/$(basename "$victim"): $byte became $((byte ^ 1))"
cmp -s "$victim" "ledger/store/$(basename "$victim")" && fail 'no byte was changed'

say 'verify names the place, and ends with exit code 3, which means tampered.'
expect 3 verify --dir tampered | tee verdict
grep -q "TAMPERED.*$(basename "$victim")" verdict || fail "the verdict does not name $(basename "$victim")"

say 'The second half: an incident, as a laboratory could have recorded it. Training slows, jobs die, a colleague is blamed.'
echo "\$ graven serve --dev --dir laboratory &"
start_server laboratory
echo "\$ graven append <incident.jsonl"
"$graven" -q append <"$incident" >seqs
echo "$(wc -l <seqs) records, from schedulers, agents, hooks, a directory and a wiki."

say 'Run 7040 of the same job on the same data is slow. What differs from the last good run?'
expect 0 diff 7001 7040

say 'Somebody edited the shared optimizer in place. Every version of it, and who made it:'
expect 0 blame fs://lustre-1/envs/shared/torch/optim/adamw.py

say 'Later run 7060 was killed. Who could have reached it?'
expect 0 explain 7060

say "It was killed from run 7055, under carol's account. What had that run loaded?"
expect 0 trace 7055

say "Her checkpoint had been overwritten by the same number, 10432. Whose is it, and what else did they do to others?"
expect 0 log --actor oidc:corp/mallory foreign = true

say 'And bob, who is blamed for it? This answer is empty, and that it leaves nothing out is proved.'
expect 0 log --actor oidc:corp/bob 'target = "fs://lustre-1/*" OR action = process.signal OR action = job.cancel'

say 'One change was not seen by anybody: the agent that would have seen it was switched off.'
expect 0 coverage --by occurred --since 2024-06-05 --until 2024-06-18 --silence 25h --source 'agent:*'

say 'The case goes into one file, which anybody can check without this ledger.'
expect 0 export --actor oidc:corp/mallory foreign = true --out case.json
GRAVEN_SERVER='' expect 0 verify case.json
kill "$server_pid"
wait "$server_pid" || fail "the server ended with $?: $(cat serve.err)"
server_pid=

say 'That is what Graven is for: whoever holds the key and one checkpoint need not trust whoever runs the ledger.'
