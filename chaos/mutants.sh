#!/usr/bin/env bash
# Takes one safeguard at a time out of a copy of the tree and demands that the
# tests named beside it fail. An argument selects the safeguards whose names
# contain it. Four parts run at a time, each with every fourth safeguard and a copy
# of its own: some tests wait until a time limit ends them.
set -euo pipefail
cd "$(dirname "$0")/.."

only=${1:-}
if [[ ! ${MUTANTS_PART:-} ]]; then
	parts=()
	for part in 0 1 2 3; do MUTANTS_PART=$part chaos/mutants.sh "$only" & parts+=($!); done
	trap 'kill "${parts[@]}" 2>/dev/null || true' EXIT
	failed=0
	for part in "${parts[@]}"; do wait "$part" || failed=1; done
	exit $failed
fi
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/tree"
# The quotes keep names apart that xargs would split.
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' name; do
	[[ -e $name ]] && printf '%s\0' "$name"
done | tar --null --files-from=- -cf - | tar -xf - -C "$copy/tree"
export GOFLAGS='-buildvcs=false -trimpath'
unnoticed=0
position=0

# build TEST-BINARY PACKAGE
build() { (cd "$copy/tree" && go test -c -ldflags='-s -w' -o "$1" "./$2"); }

# unchanged PACKAGE: builds the tests of the unchanged package to $binary, unless they are there.
unchanged() {
	binary=$copy/unchanged/$1.test
	[[ -x $binary ]] || build "$binary" "$1" || die "$1 does not compile"
}

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
	local name=$1 package=$2 tests=$3 saved=$copy/saved binary
	[[ $name == *"$only"* ]] || return 0
	((position++ % 4 == MUTANTS_PART)) || return 0
	shift 3
	unchanged "$package"
	run "$binary" "$package" "$tests" || die "$name: $tests must pass before anything is changed"
	grep -q '^--- PASS: ' "$copy/output" || die "$name: there is no test $tests in $package"
	rm -rf "$saved" && cp -a "$copy/tree/$package" "$saved"
	while (($#)); do
		change "$1" "$2" "$3"
		shift 3
	done
	binary=$copy/changed.test
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

mutant 'counters: a program that goes on from a checkpoint counts again' worker/internal/counting TestRestored \
	worker/internal/counting/attempt.go 'case !known && a.restored:' 'case false:'

mutant 'counters: the last ones of a node are dropped at its end' worker/internal/counting TestRunThatEndsAtOnce \
	worker/internal/counting/counting.go '			c.Flush(context.WithoutCancel(ctx))
			return
		case <-c.wake:' '			return
		case <-c.wake:'

mutant 'version of the schema not compared' internal/ledger TestLedgerTakesNothingOnceItIsTooNew \
	internal/ledger/sqlite/writer.go 'version > w.schema.version()' 'version < 0'

mutant 'version of the schema: PostgreSQL does not compare it' internal/ledger/postgres TestNewerSchema \
	internal/ledger/postgres/writer.go 'version > sqlite.Schema()' 'version < 0'

mutant 'version of the schema: an additive migration is a new one' internal/ledger/sqlite TestAdditiveMigration \
	internal/ledger/sqlite/migrate.go '!strings.HasSuffix(s[n-1].name, additive)' 'n > 0 || !strings.HasSuffix(s[n-1].name, additive)'

mutant 'version of the schema: an additive migration runs again' internal/ledger/postgres TestAdditiveMigration \
	internal/ledger/postgres/migrate.go 'max(version, applied), nil' 'version, nil'

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
	worker/turns.go 'if !s.turns.Contended(name, weight) {' 'if true {'

mutant 'turns are not counted' worker/internal/scheduler TestNoProgramStarves \
	worker/internal/scheduler/scheduler.go 't.on.left, t.on.ended = t.on.weight, t.of.ends' 't.on.left = t.on.weight'

mutant 'slots take from one server only' worker TestEverySlotTakesFromEveryServer \
	worker/message_source.go 'for _, addr := range cfg.Addrs {' 'for _, addr := range cfg.Addrs[:1] {'

mutant 'a slot waits behind a server that hangs' worker TestEverySlotTakesFromEveryServer \
	worker/message_source.go 'context.WithTimeout(ctx, pollLimit)' 'context.WithCancel(ctx)'

mutant 'the first server is always asked first' worker TestServersTakeTurns \
	worker/message_source.go 's.first = (first + 1) % len(s.consumers)' ''

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

mutant 'copies: one server is enough' internal/queue TestCopies \
	internal/queue/batch.go 'if len(b.placed[i]) < b.copies {' 'if len(b.placed[i]) == 0 {'

mutant 'copies: a job on too few servers is said not to be put' internal/queue TestCopies \
	internal/queue/put_errors.go 'target == ErrMaybePut || target == ErrTooBig' 'target == ErrTooBig'

mutant 'puts: a server that refuses is asked each time' internal/queue TestServerThatRefusesIsLeftAlone \
	internal/queue/put_submit.go '!r.last && q.refusals.rests(now)' 'false'

mutant 'stream: an answer to another job is taken' worker/internal/stream TestAnswer \
	worker/internal/stream/answer.go 'case *a.ID != job:' 'case *a.ID != job && false:'

mutant 'a commit in PostgreSQL does not wait for the disk' internal/ledger/postgres 'TestDurableCommit|TestCrash' \
	internal/ledger/postgres/writer.go 'level = w.level' 'level = "off"'

mutant 'programs may have the keys of the node' worker/internal/program TestLimitsInManifest \
	worker/internal/program/manifest.go ' || slices.Contains(nodeSecrets, name)' ' || name == "" && slices.Contains(nodeSecrets, name)'

mutant 'the name of a ledger in PostgreSQL holds a part of its password' internal/ledger/postgres TestName \
	internal/ledger/postgres/url.go 'name := "postgres://" + strings.Join(hosts, ",")' 'name := "postgres://" + config.Password + strings.Join(hosts, ",")'

mutant 'a node that stands still keeps all others from writing to PostgreSQL' internal/ledger/postgres TestFrozenWriter \
	internal/ledger/postgres/writer.go 'SET LOCAL idle_in_transaction_session_timeout = %d' 'SET LOCAL idle_session_timeout = %d'

mutant 'an outage of the ledger makes nodes dead' internal/ledger/nodes TestUnwatched \
	internal/ledger/nodes/liveness.go 's.at = s.at.Add(min(missed, ' 's.at = s.at.Add(min(0, '

mutant 'a writer that nobody lets write makes nodes dead' internal/ledger/nodes TestUnwritten \
	internal/ledger/nodes/liveness.go 'missed = max(missed, blocked)' 'missed = max(missed, 0)'

mutant 'PostgreSQL: a claim may read all queued jobs' internal/ledger TestPlansOnPostgreSQL \
	internal/ledger/postgres/reader.go ' AND )state (=|IN)' ' AND )stage (=|IN)'

mutant 'bucket: an object whose answer was lost is that of another' internal/store/bucket TestFaults \
	internal/store/bucket/write.go 'case info.UserMetadata[writerField] == write:' 'case info.UserMetadata[writerField] == write && false:'

mutant 'bucket: an object is created without a condition' internal/store/bucket 'TestOpenRefuses|TestCreate' \
	internal/store/bucket/write.go '	if c == absent {
		o.SetMatchETagExcept("*")' '	if c != absent {
		o.SetMatchETagExcept("*")'

mutant 'cache: the copy of an object that another node removed or wrote is read' internal/store/readcache TestRemovedElsewhere \
	internal/store/readcache/cache.go 'case err != nil || version != e.version || key != e.key:' 'case version+key == "":'

mutant 'cache: a copy from before the start is not checked' internal/store/readcache TestStartAgain \
	internal/store/readcache/copy.go 'err == nil && t.SHA256 != ' 'err == nil && t.SHA256 == "" && t.SHA256 != '

mutant 'cache: half a copy is left after a kill' internal/store/readcache TestKilledWhileItCopies \
	internal/store/readcache/index.go '_ = x.root.Remove(f.Name())' ''

mutant 'cache: an object that is removed while it is copied stays' internal/store/readcache TestForgottenWhileItIsCopied \
	internal/store/readcache/cache.go 'if err == nil && !f.dropped {' 'if err == nil {'

mutant 'the temporary folder of another machine is swept' internal/store TestSweepSparesOtherMachines \
	internal/store/temp_folder.go '(!theirs || ' '(!theirs || theirs || '

mutant 'an end that the ledger does not take is in memory only' worker TestEndIsKept \
	worker/attempt_end.go 'err := f.unreported.Keep(a.record.ID, a.record.Attempt, e); err != nil' 'err := error(nil); err != nil'

mutant 'PostgreSQL: changes of counts are folded while their step is open' internal/ledger/postgres TestFold \
	internal/ledger/postgres/fold.go "currval('writes') / 64 - 1 AS step" "currval('writes') / 64 AS step"

mutant 'a log leaves the ledger although the store does not have it' worker TestLogInTheLedger \
	worker/internal/growinglog/growing_log.go 'case !stored:' 'case !stored && false:'

mutant 'stream: what was written between jobs costs a job an attempt' worker/internal/stream TestBetweenJobs \
	worker/internal/process/stream.go 'return ErrUnasked' 'return nil'

mutant 'batch: a retry leaves the frames as they are' internal/batch TestFailedFrames \
	internal/batch/run.go 'return list[at].At, nil' 'return time.Time{}, nil'

mutant 'batch: all frames are open at once' internal/batch TestMaxRunning \
	internal/batch/run.go 'if n = min(n, most-open); err != nil' 'if open < 0 || err != nil'

mutant 'batch: frames that wait take the place of others' internal/batch TestMaxRunningOfChains \
	internal/batch/expansion.go 'return x.unmade[need] || open[need]' 'return false'

mutant 'retention: a frame leaves before its batch ends' internal/batch TestDeleteFrame \
	internal/ledger/retention/delete.go '{qOpenBatch, ErrBatch}, ' ''

mutant 'a program starts for an attempt that is stale' worker TestLateStart \
	worker/run_attempt.go 'err := r.holds(a); err != nil' 'err := error(nil); err != nil'

mutant 'enqueue: a program makes jobs of any other' worker/internal/enqueue TestRefused \
	worker/internal/enqueue/enqueue.go '!slices.Contains(e.cfg.Programs, r.Program)' 'len(e.cfg.Programs) > 9 || slices.Contains(e.cfg.Programs, "")'

mutant 'enqueue: each attempt makes jobs of its own' worker/internal/enqueue TestDocument \
	worker/internal/enqueue/enqueue.go '"enqueue/"+key' 'key+time.Now().String()'

mutant 'loop: it goes on after its end' internal/ledger TestLoopEndsBesideASuccess \
	internal/ledger/loops/next.go '!found || ended != 0 || loop.Runs' '!found || loop.Runs'

mutant 'loop: an older success makes a next job' internal/ledger TestLoopResultMissing \
	internal/ledger/loops/next.go 'loop.Runs != place.Run' 'loop.Runs < place.Run'

mutant 'loop: the last of its jobs is deleted, and it stays' internal/ledger TestLoopOutlivesItsJobs \
	internal/ledger/retention/delete.go 'other.id <> ?)`' "other.id = ?)\`"

mutant 'checkpoint: an old attempt records one' internal/ledger TestOldAttemptRecordsNoCheckpoint \
	internal/ledger/checkpoints/checkpoints.go 'WHERE id = ? AND attempt = ? AND state' 'WHERE id = ? AND attempt >= ? AND state'

mutant 'checkpoint: a running job that is reset records one' internal/ledger TestResetDropsCheckpoints \
	internal/ledger/checkpoints/checkpoints.go "AND cancel_requested <> 3" "AND cancel_requested <> 4"

mutant 'checkpoint: a reset drops none' internal/ledger TestResetDropsCheckpoints \
	internal/ledger/verbs.go 'refusal == nil && verb == VerbReset' 'refusal == nil && verb == ""'

mutant 'checkpoint: the digest is not compared' worker TestBrokenCheckpoint \
	worker/internal/checkpoint/unpack.go 'n != size || hex.EncodeToString(digest.Sum(nil)) != sum' 'n != size || hex.EncodeToString(digest.Sum(nil)) == ""'

mutant 'checkpoint: changes while it is packed are not seen' worker/internal/checkpoint TestUntilSame \
	worker/internal/checkpoint/pack.go '!errors.Is(err, errChanged)' '!errors.Is(err, errChanged) || true'

mutant 'checkpoint: the same one again costs nothing' worker TestRunAgainForNothing \
	worker/internal/checkpoint/checkpoint.go 'err == nil && k.newest == k.restored' 'err == nil && k.newest == ""'

mutant 'checkpoint: a program without a handler gets the signal' worker/internal/process TestSignal \
	worker/internal/process/handle_linux.go 'handles(procFile(pid, "status"), sig)' 'len(procFile(pid, "status")) > 0'

mutant 'checkpoint: a packing from before a request answers it' worker/internal/checkpoint TestRequests \
	worker/internal/checkpoint/requests.go 'r != nil && r.saving && !r.done' 'r != nil && !r.done'

mutant 'checkpoint: a broken one counts as kept' internal/ledger TestBrokenCheckpointsDoNotCount \
	internal/ledger/checkpoints/checkpoints.go "AND state = 1 AND broken = ''" 'AND state = 1'

mutant 'drain: interrupts what no other node can take over' worker TestDrainWithoutAnotherNode \
	worker/stop_requests.go '!elsewhere[a.record.Program]' 'elsewhere == nil'

mutant 'queue: begun work comes in its turn' internal/dispatch TestBegunWorkComesFirst \
	internal/ledger/queues/message_priority.go 'return priority - 1' 'return priority'

mutant 'checkpoint: what a dead node has begun stays' internal/ledger TestLeftCheckpointsAreFound \
	internal/ledger/checkpoints/left.go 'return !runs && now.Sub(r.at) > begunFor' 'return runs && now.Sub(r.at) > begunFor'

mutant 'package: a tar without an end is taken' internal/batchtar TestCutOff \
	internal/batchtar/read.go 'in.n < t.end+block' 'in.n < t.end'

mutant 'package: a link is taken' internal/batchtar TestRefused \
	internal/batchtar/read.go 'h.Typeflag != tar.TypeReg:' 'h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeSymlink:'

mutant 'package: a file goes that frames use' internal/ledger TestFilesOfPackagesAreKept \
	internal/ledger/packages/dropped.go "OR EXISTS (SELECT 1 FROM jobs WHERE batch = package_uses.job AND batch <> '')" "OR EXISTS (SELECT 1 FROM jobs WHERE batch = package_uses.job AND batch = '')"

mutant 'package: a damaged file reaches a program' worker TestStoredFiles \
	worker/internal/input/fetch.go 'got.SHA256 != digest {' 'got.SHA256 == "" {'

if ((unnoticed)); then
	echo "$unnoticed of the changes went unnoticed" >&2
	exit 1
fi
