#!/usr/bin/env bash
# Takes one safeguard at a time out of a copy of the tree and demands that the
# tests named beside it fail. An argument selects the safeguards whose names
# contain it.
set -euo pipefail
cd "$(dirname "$0")/.."

only=${1:-}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/tree"
# The quotes keep names apart that xargs would split.
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' name; do
	[[ -e $name ]] && printf '%s\0' "$name"
done | tar --null --files-from=- -cf - | tar -xf - -C "$copy/tree"
export GOFLAGS='-buildvcs=false -trimpath'
unnoticed=0

# build TEST-BINARY PACKAGE
build() { (cd "$copy/tree" && go test -c -o "$1" "./$2"); }

# run TEST-BINARY PACKAGE TESTS: the tests' output goes to $copy/output.
run() { (cd "$copy/tree/$2" && timeout 120 "$1" -test.v -test.failfast -test.timeout 100s -test.run "^($3)\$") >"$copy/output" 2>&1; }

die() {
	echo "$*" >&2
	[[ ! -s $copy/output ]] || tail -n 40 "$copy/output" >&2
	exit 1
}

# change FILE OLD NEW: replaces the only place where the file has OLD.
change() {
	local text
	text=$(<"$copy/tree/$1")
	[[ $text == *"$2"* ]] || die "$1 has no more of: $2"
	[[ ${text#*"$2"} != *"$2"* ]] || die "$1 has more than one of: $2"
	printf '%s\n' "${text/"$2"/"$3"}" >"$copy/tree/$1"
}

# mutant NAME PACKAGE TESTS FILE OLD NEW [FILE OLD NEW]...
mutant() {
	local name=$1 package=$2 tests=$3 binary=$copy/test
	[[ $name == *"$only"* ]] || return 0
	local saved=$copy/saved
	shift 3
	build "$binary" "$package" || die "$package does not compile"
	run "$binary" "$package" "$tests" || die "$name: $tests must pass before anything is changed"
	grep -q '^--- PASS: ' "$copy/output" || die "$name: there is no test $tests in $package"
	rm -rf "$saved" && cp -a "$copy/tree/$package" "$saved"
	while (($#)); do
		change "$1" "$2" "$3"
		shift 3
	done
	build "$binary" "$package" || die "$name: the change does not compile, so it shows nothing"
	if run "$binary" "$package" "$tests"; then
		echo "UNNOTICED  $name ($package: $tests)"
		unnoticed=$((unnoticed + 1))
	elif grep -q '^ *--- FAIL: ' "$copy/output"; then
		echo "noticed    $name ($package: $(grep -o '^--- FAIL: [^ ]*' "$copy/output" | cut -d' ' -f3 | paste -sd' '))"
	else
		die "$name: the tests ended without a verdict"
	fi
	rm -rf "${copy:?}/tree/$package" && mv "$saved" "$copy/tree/$package"
}

mutant 'file sync of the store removed' internal/store TestSyncedBeforeAnswer \
	internal/store/create.go 'err := s.fsync(t.File); err != nil' 'err := ctx.Err(); err != nil'

mutant 'file sync of the ledger removed' internal/ledger TestSyncedBeforeAnswer \
	internal/ledger/sqlite/sync_linux.go 'err := syscall.Fdatasync(int(f.Fd())); err' 'err := error(nil); err'

mutant 'statements left open at a clean stop' internal/ledger TestCleanStopLeavesOneCompleteFile \
	internal/ledger/sqlite/writer.go 'errors.Join(closeStatements(w.stmts), w.abandon())' 'w.abandon()'

mutant 'a retry at another time is a conflict' internal/ledger 'TestAcceptOfARetry' \
	internal/ledger/samejob/difference.go 'j.Created, j.Traceparent = time.Time{}, ""' '_ = time.Time{}'

mutant 'documents of many messages in one transaction' internal/dispatch TestLedgerThatDoesNotRecordKeepsMessages \
	internal/dispatch/intake.go 'documents > in.batch && len(messages) > 0' 'false'

mutant 'a document on which the ledger panics holds up others' internal/dispatch TestADocumentOnWhichTheLedgerPanics \
	internal/dispatch/intake.go 'if !isPanic(err) {' 'if true {'

mutant 'a message with an unreadable document is deleted' internal/dispatch TestUnreadableDocumentOfMany \
	internal/dispatch/inbox_message.go 'm.refused = append(m.refused, refusal{at, err})' ''

mutant 'version of the schema not compared' internal/ledger TestLedgerTakesNothingOnceItIsTooNew \
	internal/ledger/sqlite/writer.go 'version > len(w.schema)' 'version < 0'

mutant 'second look at the nodes, under the lock, removed' internal/ledger/sqlite TestUpgradeLooksAgainUnderTheLock \
	internal/ledger/sqlite/upgrade.go 'err := u.noNodes(ctx, tx, version); err' 'err := error(nil); err'

mutant 'folder sync removed' internal/store TestSyncedBeforeAnswer \
	internal/store/folder_sync.go 'b.err = f.fsync()' 'b.err = nil'

mutant 'create-if-absent turned into replace' internal/store 'TestCreateKeepsTheFirst|TestOneWriterWins' \
	internal/store/create.go 'if _, missing := s.root.Lstat(key); missing != nil {' 'if _ = s.root.Remove(key); true {'

mutant 'attempt fence of the ledger removed' internal/ledger TestFinishRefused \
	internal/ledger/finish.go 'state != jobs.Running || newest != attempt' 'state != jobs.Running || newest < attempt' \
	internal/ledger/finish.go "AND state = 'running' AND attempt = ? AND cancel_requested = ?" "AND state = 'running' AND attempt >= ? AND cancel_requested = ?"

mutant 'a success is recorded although its attempt was lost' internal/ledger TestSuccessOfAnyJob \
	internal/ledger/finish.go "AND state = 'running' AND attempt = ? AND cancel_requested = 0" "AND attempt = ? AND cancel_requested = 0"

mutant 'a claim trusts what was accepted' internal/ledger TestClaimAfterChanges \
	internal/ledger/claim.go 'AND attempt = ? AND updated = ?' 'AND attempt = ? AND 0 < ?'

mutant 'the result is not in the transaction that ends the job' internal/ledger TestFinishPublishesTheResult \
	internal/ledger/finish.go 'results.Insert(t, id, e.Result)' 'error(nil)' \
	internal/ledger/finish.go '	"github.com/runnerbean/runnerbean/internal/ledger/results"
' ''

mutant 'a success is recorded without its result' worker 'TestFence|TestPanics' \
	worker/attempt_end.go 'e.Result = a.publication.Result()' 'e.Result = nil'

mutant 'a success after a panic is recorded without its result' worker TestPanics \
	worker/attempt_end.go 'ExitCode: -1, Result: result}' 'ExitCode: -1}'

mutant 'the result of a stale attempt is taken' internal/ledger TestFinishPublishesTheResult \
	internal/ledger/finish.go '		ended, err = t.finishRow(id, attempt, e)
	}
	if err != nil {' '		ended, err = t.finishRow(id, attempt, e)
	}
	if err != nil && e.Result != nil {
		return nil, results.Insert(t, id, e.Result)
	}
	if err != nil {'

mutant 'the result of a stale attempt is not compared' worker TestFence \
	worker/job_handler.go 'a.publication.Stale(end)' '_ = end'

mutant 'an object beside a result in the ledger stays' worker TestLargeResultAfterTheFence \
	worker/internal/publish/conflict.go 'p.drop(ctx, []string{key})' '_ = key'

mutant 'fence before a large result removed' worker 'TestFence|TestStale' \
	worker/internal/publish/fence.go 'case fault.IsStale(err):
			return fault.ErrStale' 'case fault.IsStale(err):
			return nil'

mutant 'wrapped private addresses are asked' internal/outbound TestReachable \
	internal/outbound/public_address.go 'if !public(v4) {' 'if !public(v4) && false {'

mutant 'this node and beanstalkd are asked' internal/outbound 'TestReservedServers|TestListenerIsNeverAsked' \
	internal/outbound/dial_guard.go 'if err := checkReserved(ctx, g.reserved, to); err != nil {' 'if err := error(nil); err != nil {'

mutant 'an older end is delivered beside a newer one' internal/ledger TestNewestEndIsDeliveredLast \
	internal/ledger/outbox/deliveries.go "CASE WHEN hooks.owner = '' THEN excluded.next ELSE hooks.next END" 'excluded.next'

mutant 'turns of other programs ignored' worker 'TestProgramsTakeTurns|TestTurnsOfSeveralServers' \
	worker/turns.go 'if !s.Contended(name, weight) {' 'if true {'

mutant 'turns are not counted' worker/internal/scheduler TestNoProgramStarves \
	worker/internal/scheduler/scheduler.go 't.on.left, t.on.ended = t.on.weight, t.of.ends' 't.on.left = t.on.weight'

mutant 'final kill of the group removed' worker/internal/process TestGroupEnds \
	worker/internal/process/supervise.go '_ = unix.Kill(-s.pid, unix.SIGKILL)' ''

mutant 'mark of descendants ignored' worker/internal/process TestNothingIsLeft \
	worker/internal/process/mark_linux.go ' && markNumber(pid) == m.number' ' && false'

mutant 'a node in trouble takes work as usual' worker TestNodeInTroubleTriesOneJobNowAndThen \
	worker/executor.go 'case e.gate.troubled():' 'case e.gate.troubled() && false:'

mutant 'a broken log pipe ends the node' cmd/runnerbean TestBrokenLogPipeEndsNoNode \
	cmd/runnerbean/node_process.go 'signal.Notify(broken, syscall.SIGPIPE)' 'signal.Stop(broken)'

mutant 'a job may be put twice under one id by one batch' jobs TestEnqueueBatchPutsWhatIsValid \
	jobs/enqueue_batch.go 'if k, twice := places[e.Job.ID]; twice {' 'if k, twice := places[e.Job.ID]; twice && k < 0 {'

mutant 'a put without an answer counts as not put' jobs TestPutErrors \
	jobs/enqueue_error.go 'return errors.Is(err, queue.ErrMaybePut) ||' 'return errors.Is(err, queue.ErrTooBig) ||'

mutant 'faults tell the password of a URL' jobs TestFaultsHoldNoSecrets \
	jobs/validate.go 'jsondoc.ExcerptURL(s))' 'jsondoc.Excerpt(s))'

mutant 'a full log buffer blocks' cmd/runnerbean/internal/logbuffer TestStuckLogBlocksNothingAndTellsWhatWasDropped \
	cmd/runnerbean/internal/logbuffer/buffer.go 'len(b.pending)+len(lines) > maxPending' 'false'

mutant 'the token follows redirects' jobs/internal/nodeapi TestRedirectIsNotFollowed \
	jobs/internal/nodeapi/nodeapi.go 'return http.ErrUseLastResponse' 'return nil'

mutant 'a lost answer is forgotten' jobs TestDurableEnqueue \
	jobs/api.go 'lost = lost || mayBeDone(err)' 'lost = mayBeDone(err)'

mutant 'a server tells the token to the log' jobs TestAPIErrors \
	jobs/api.go 'p.conceal(c.cfg.Token)' ''

mutant 'puts: no limit in flight at a slow server' internal/queue TestLoadFollowsTheServer \
	internal/queue/load.go 'if l.each > 0 {' 'if false {'

mutant 'puts: a silent server keeps its callers' internal/queue TestHungServerBesideAHealthyOne \
	internal/queue/batch.go 'quiet && !r.last' 'quiet && false'

mutant 'puts: a failed server is tried each time' internal/queue TestFailedServerIsSkipped \
	internal/queue/breaker.go 'return !now.Before(b.probeAt)' 'return true'

mutant 'puts: a lost connection counts as not put' internal/queue 'TestCutPutReplies|TestOutcomesAreTrue' \
	internal/queue/put_errors.go 'target == errLost || target == ErrMaybePut' 'target == errLost'

mutant 'puts: one refusal hides that a message may be put' internal/queue TestMaybePutHidesOtherErrors \
	internal/queue/put_errors.go 'case maybeA && !maybeB:' 'case maybeA && !maybeB && false:' internal/queue/put_errors.go 'case maybeB && !maybeA:' 'case maybeB && !maybeA && false:'

mutant 'puts: Close does not wait' internal/queue TestCloseWaitsForPuts \
	internal/queue/producer.go 'p.calls.Wait()' ''

mutant 'stream: an answer to another job is taken' worker/internal/stream TestAnswer \
	worker/internal/stream/answer.go 'case *a.ID != job:' 'case *a.ID != job && false:'

mutant 'stream: what was written between jobs costs a job an attempt' worker/internal/stream TestBetweenJobs \
	worker/internal/process/stream.go 'return ErrUnasked' 'return nil'

if ((unnoticed)); then
	echo "$unnoticed of the changes went unnoticed" >&2
	exit 1
fi
