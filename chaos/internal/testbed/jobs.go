package testbed

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// Job is a job document to submit.
type Job struct {
	ID       string
	Document []byte
	Answer   string // of the right result; "" is not checked
}

// Task is the input of the program "work".
type Task struct {
	History string `json:"history"`
	Seed    uint64 `json:"seed"`
	MS      int    `json:"ms"`              // how long the program runs
	Pad     int    `json:"pad,omitempty"`   // bytes added to the result
	Fails   int    `json:"fails,omitempty"` // number of attempts that end in EX_TEMPFAIL before one succeeds
}

// LargePad makes a result too large for the ledger of a node with default settings.
const LargePad = 80 << 10

// WorkJob returns a job of a program like "work" that runs for so long.
func (bed *Testbed) WorkJob(rng *rand.Rand, program string, work time.Duration, pad int) *Job {
	return bed.TaskJob(rng, program, Task{MS: int(work.Milliseconds()), Pad: pad})
}

// TaskJob returns a job with this task, to which it adds a seed.
func (bed *Testbed) TaskJob(rng *rand.Rand, program string, t Task) *Job {
	t.History, t.Seed = bed.History.Path, rng.Uint64()>>11
	j := bed.NewJob(rng, program, t, nil)
	j.Answer = t.Answer(j.ID)
	return j
}

// NewJob returns a job of any program and input. It adds the members of more to
// the document.
func (bed *Testbed) NewJob(rng *rand.Rand, program string, input any, more map[string]any) *Job {
	j := &Job{ID: newID(rng)}
	document := map[string]any{
		"id": j.ID, "program": program, "input": map[string]any{"data": input},
		"result": map[string]any{"url": baseURL + "/" + j.ID},
	}
	for key, value := range more {
		document[key] = value
	}
	var err error
	if j.Document, err = json.Marshal(document); err != nil {
		panic(err) // the values come from this program
	}
	return j
}

// newID returns a UUID of version 4 that depends on the seed.
func newID(rng *rand.Rand) string {
	a, b := rng.Uint64(), rng.Uint64()
	a = a&^0xf000 | 0x4000
	b = b&^(0xc<<60) | 0x8<<60
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
}

// Answer returns a text that depends on the seed and the job only.
func (t Task) Answer(id string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", id, t.Seed))
	return hex.EncodeToString(sum[:])
}
