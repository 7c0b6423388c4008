#!/bin/bash
# Runs a batch on a node of its own with two slots.
# Usage: batch-demo.sh RUNNERBEAN NAME PROGRAMS BATCH. DEMO_ONCE=1 ends the node after that.
set -eu
runnerbean=$(realpath "$1")
name=$2
programs=$(realpath "$3")
batch=$(realpath "$4")
folder=$(realpath -m "${DEMO_DATA:-.demo-$name}")
mkdir -p "$folder"
chmod -R go-w "$programs"

export RUNNERBEAN_LISTEN=${DEMO_LISTEN:-127.0.0.1:8430} RUNNERBEAN_BEANSTALKD=${DEMO_BEANSTALKD:-127.0.0.1:11330}
export RUNNERBEAN_DATA=$folder/data RUNNERBEAN_PROGRAMS=$programs RUNNERBEAN_NODE=$name RUNNERBEAN_SLOTS=2
export RUNNERBEAN_URL=http://$RUNNERBEAN_LISTEN
"$runnerbean" dev >"$folder/node.log" 2>&1 &
node=$!
trap 'kill $node 2>/dev/null; wait $node || true' EXIT
for try in $(seq 150); do
  if "$runnerbean" nodes >/dev/null 2>&1; then break; fi
  if [ "$try" = 150 ] || ! kill -0 $node 2>/dev/null; then
    echo "the node does not start; its log is $folder/node.log" >&2
    exit 1
  fi
  sleep 0.2
done

"$runnerbean" submit --wait "$batch" >"$folder/result.json"
bundle=$(sed -n 's/.*"bundle": "\(.*\)".*/\1/p' "$folder/result.json")
echo "The bundle:     $bundle"
echo "All its frames: ${bundle%/bundle}"
if [ -z "${DEMO_ONCE:-}" ]; then
  echo "Ctrl-C ends the node."
  wait $node
fi
