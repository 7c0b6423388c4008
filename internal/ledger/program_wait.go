package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/suggest"
	"github.com/runnerbean/runnerbean/jobs"
)

// announceLimit is how long a due job waits for a node to announce its program. Nodes of
// a pool start in any order.
const announceLimit = 10 * time.Minute

// programPrefix begins a need that is not a job but a program that no node has
// announced. Ids of jobs have no blanks.
const programPrefix = "program "

func programNeed(program string) string { return programPrefix + program }

var (
	qProgramNames = engine.NewQuery("SELECT name FROM programs ORDER BY name")
	qAnnounced    = engine.NewQuery("SELECT 1 FROM programs WHERE name = ?")
	qAwaits       = engine.NewQuery("SELECT 1 FROM needs WHERE need = ? AND job = ?")
)

// announced reports whether any node has ever announced a program.
func announced(t *txn, program string) (bool, error) {
	var one int
	return t.Row(qAnnounced, []any{program}, &one)
}

// awaits reports whether a job waits for its program. Such a job is counted under no
// program, because a document may name any.
func (t *txn) awaits(id, program string) (bool, error) {
	var one int
	return t.Row(qAwaits, []any{programNeed(program), id}, &one)
}

// await makes a job wait for its program until announceLimit after it is due.
func (t *txn) await(r *Record) error {
	deadline := engine.Later(t.now, r.NotBefore).Add(announceLimit)
	t.missing = new(true)
	return addNeeds(t, r.ID, []openNeed{{programNeed(r.Program), engine.Micros(deadline), 0}}, false)
}

// recount counts a job under its program when it no longer waits for the program.
func (t *txn) recount(program string) {
	t.countOne("", jobs.Waiting, -1)
	t.countOne(program, jobs.Waiting, 1)
}

// UnknownProgram returns the message for a program that no node has announced, with the
// most similar known programs.
func UnknownProgram(name string, known []string) string {
	if len(known) == 0 {
		return fmt.Sprintf("no node has a program %q, nor any other; install one in the programs folder", name)
	}
	return fmt.Sprintf("no node has ever had a program %q; the nearest known: %s", name, strings.Join(suggest.Closest(3, name, known), ", "))
}
