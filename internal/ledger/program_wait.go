package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/suggest"
	"github.com/runnerbean/runnerbean/jobs"
)

// announceLimit is how long a job that is due waits for a node to announce its
// program: when a pool starts, nodes come up in any order.
const announceLimit = 10 * time.Minute

// programPrefix begins a need that is not a job but a program that no node has
// announced yet. No id of a job has a blank.
const programPrefix = "program "

func programNeed(program string) string { return programPrefix + program }

var (
	qAnnounced = engine.NewQuery("SELECT 1 FROM programs WHERE name = ?")
	qAwaits    = engine.NewQuery("SELECT 1 FROM needs WHERE need = ? AND job = ?")
)

// announced reports whether any node has ever announced a program.
func (t *txn) announced(program string) (bool, error) {
	var one int
	return t.Row(qAnnounced, []any{program}, &one)
}

// awaits reports whether a job waits for its program. Such a job is counted
// under no program, for documents may name any.
func (t *txn) awaits(id, program string) (bool, error) {
	var one int
	return t.Row(qAwaits, []any{programNeed(program), id}, &one)
}

// await makes a job wait for its program, which no node has announced, until
// some time after it is due.
func (t *txn) await(r *Record) error {
	deadline := engine.Later(t.now, r.NotBefore).Add(announceLimit)
	_, err := t.Exec(qInsertNeed, programNeed(r.Program), r.ID, engine.Micros(deadline))
	t.missing = new(true)
	return err
}

// recount counts a job under its program that did not wait for it any more.
func (t *txn) recount(program string) {
	t.countOne("", jobs.Waiting, -1)
	t.countOne(program, jobs.Waiting, 1)
}

// UnknownProgram says that no node has announced a program, and which of the
// known ones are the nearest.
func UnknownProgram(name string, known []string) string {
	if len(known) == 0 {
		return fmt.Sprintf("no node has a program %q, nor any other; install one in the programs folder", name)
	}
	return fmt.Sprintf("no node has ever had a program %q; the nearest known: %s", name, strings.Join(suggest.Closest(3, name, known), ", "))
}
