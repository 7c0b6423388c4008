package dispatch

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// killedVar makes the test binary a dispatcher that kills itself between a commit and the
// put of its messages. Its value is the address of beanstalkd and the path of the ledger.
const killedVar = "DISPATCH_TEST_KILLED"

// killed serves the inbox until it has committed a document.
func killed(setting string) error {
	addr, path, _ := strings.Cut(setting, " ")
	l, err := ledger.Open(context.Background(), ledger.Config{DSN: "sqlite:" + path})
	if err != nil {
		return err
	}
	d, err := New(Config{Queue: queue.Config{Addrs: []string{addr}}, Node: "n1", Ledger: l})
	if err != nil {
		return err
	}
	accept := d.documents.accept
	d.documents.accept = func(ctx context.Context, entries []ledger.Entry, _ func([]ledger.Accepted)) ([]ledger.Accepted, error) {
		return accept(ctx, entries, func([]ledger.Accepted) { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} })
	}
	return d.Run(context.Background())
}

// TestKilledBetweenCommitAndPut kills a node after it has committed a document and before it
// has put the run message. The document comes again and changes nothing, the reconciler
// puts one message, and the job can be claimed once.
func TestKilledBetweenCommitAndPut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := jobs.NewID()
	f.put(t, inboxTube, document(id, "cat"))
	exe, err := os.Executable()
	must(t, err)
	child := exec.CommandContext(t.Context(), exe)
	child.Env = append(os.Environ(), killedVar+"="+f.server.Addr+" "+f.path)
	out, err := child.CombinedOutput()
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("%v: %s", err, out)
	}
	f.state(t, id, jobs.Queued)
	if n := f.messages(t); n != "" {
		t.Fatalf("%s messages were put before the kill", n)
	}
	f.serve(t)
	if got := f.hint(t, "cat"); got != id {
		t.Errorf("the message names %s, want %s", got, id)
	}
	waitFor(t, func() bool { waiting, buried := f.onInbox(t); return waiting == 0 && buried == 0 })
	waitFor(t, func() bool { return len(f.eventsOf(t, id, "resent")) > 0 })
	f.wantResent(t, id, "no message was put for it yet")
	if n := len(f.eventsOf(t, id, eventlog.KindAccepted)); n != 1 || len(f.eventsOf(t, id, eventlog.KindConflict)) > 0 {
		t.Errorf("accepted %d times", n)
	}
	for _, want := range []bool{true, false} {
		claim, err := f.ledger.Claim(t.Context(), id, ledger.Owner{Instance: "i2", Node: "n2"}, "")
		if err != nil || claim.OK != want || claim.Record.Attempt != 1 {
			t.Errorf("claim %v of attempt %d, want %v: %v", claim.OK, claim.Record.Attempt, want, err)
		}
	}
	if n := len(f.eventsOf(t, id, "resent")); n != 1 {
		t.Errorf("%d messages were put", n)
	}
}
