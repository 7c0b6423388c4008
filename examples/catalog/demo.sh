#!/bin/bash
# Serves the package lists of this machine, and fetches, parses and adds them up on two nodes with a slot each.
# Usage: demo.sh RUNNERBEAN CATALOG PROGRAMS. DEMO_ONCE=1 ends the nodes after that.
set -eu
runnerbean=$(realpath "$1")
catalog=$(realpath "$2")
programs=$(realpath "$3")
folder=$(realpath -m "${DEMO_DATA:-.demo-catalog}")
mkdir -p "$folder"
chmod -R go-w "$programs"

first=${DEMO_LISTEN:-127.0.0.1:8430}
second=${DEMO_SECOND:-127.0.0.1:8431}
lists=${DEMO_LISTS:-127.0.0.1:8440}
export RUNNERBEAN_BEANSTALKD=${DEMO_BEANSTALKD:-127.0.0.1:11330} RUNNERBEAN_PROGRAMS=$programs RUNNERBEAN_SLOTS=1
export RUNNERBEAN_LEDGER=sqlite:$folder/data/ledger.db RUNNERBEAN_STORE=file://$folder/data/store
export RUNNERBEAN_URL=http://$first RUNNERBEAN_BASE_URL=http://$first

# Inputs may come from this machine, as with "runnerbean dev".
started=()
trap 'kill "${started[@]}" 2>/dev/null; wait || true' EXIT
RUNNERBEAN_DATA=$folder/data RUNNERBEAN_NODE=north RUNNERBEAN_LISTEN=$first "$runnerbean" dev >"$folder/north.log" 2>&1 &
started+=($!)

# until_true WHAT COMMAND… waits until a command succeeds, for 30 s and while all that was started runs.
until_true() {
  for try in $(seq 150); do
    if "${@:2}" >/dev/null 2>&1; then return; fi
    if [ "$try" = 150 ] || ! kill -0 "${started[@]}" 2>/dev/null; then
      echo "$1; the logs are in $folder" >&2
      exit 1
    fi
    sleep 0.2
  done
}
answers() { exec 3<>"/dev/tcp/${1%:*}/${1##*:}"; }
both_up() { [ "$("$runnerbean" nodes | grep -cE "^(north|south) +up ")" = 2 ]; }

until_true "the first node does not start" "$runnerbean" nodes
RUNNERBEAN_DATA=$folder/south RUNNERBEAN_NODE=south RUNNERBEAN_LISTEN=$second RUNNERBEAN_FETCH_ALLOW=127.0.0.0/8 "$runnerbean" worker >"$folder/south.log" 2>&1 &
started+=($!)
"$catalog" serve -listen "$lists" &
started+=($!)
until_true "the second node does not start" both_up
until_true "the lists are not served" answers "$lists"

# id_of reads the first id of a JSON document.
id_of() { grep -o '"id": *"[^"]*"' | head -n 1 | cut -d '"' -f 4; }

# to_end NAME COMMAND… runs a command of runnerbean that waits for a job.
to_end() {
  if ! "$runnerbean" "${@:2}" >"$folder/$1.json" 2>"$folder/$1.log"; then
    cat "$folder/$1.log" >&2
    exit 1
  fi
}

to_end plan submit --program catalog --input "http://$lists/index.json" --wait
plan=$(id_of <"$folder/plan.json")
last=$("$runnerbean" list --json --label "family=$plan" --program catalog-aggregate | id_of)
to_end catalog watch "$last"
if ! grep -q '"failed": \[\]' "$folder/catalog.json"; then
  echo "parts are missing: $folder/catalog.json names them in failed" >&2
  exit 1
fi
echo "The catalog:    http://$first/$last"
echo "The pipeline:   http://$first/jobs/$plan"
if [ -z "${DEMO_ONCE:-}" ]; then
  echo "Ctrl-C ends the nodes."
  wait "${started[0]}"
fi
