package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// job is a document that the rig submits.
type job struct {
	id       string
	document []byte
	answer   string // what a right result says; "" = not checked
}

// task is the input of the program "work".
type task struct {
	History string `json:"history"`
	Seed    uint64 `json:"seed"`
	MS      int    `json:"ms"`              // how long it works
	Pad     int    `json:"pad,omitempty"`   // bytes that it adds to its result
	Fails   int    `json:"fails,omitempty"` // attempts that end in EX_TEMPFAIL before one succeeds
}

// job makes a job of the program "work" that works for so long.
func (r *rig) job(chance *rand.Rand, program string, work time.Duration, pad int) *job {
	return r.jobFor(chance, program, task{MS: int(work.Milliseconds()), Pad: pad})
}

// jobFor makes a job of a program with this task, to which it adds a seed.
func (r *rig) jobFor(chance *rand.Rand, program string, t task) *job {
	t.History, t.Seed = r.path, chance.Uint64()>>11
	j := r.jobOf(chance, program, t, nil)
	j.answer = t.answer(j.id)
	return j
}

// jobOf makes a job of any program and input; more are further members of the document.
func (r *rig) jobOf(chance *rand.Rand, program string, input any, more map[string]any) *job {
	j := &job{id: newID(chance)}
	document := map[string]any{
		"id": j.id, "program": program, "input": map[string]any{"data": input},
		"result": map[string]any{"url": baseURL + "/" + j.id},
	}
	for key, value := range more {
		document[key] = value
	}
	var err error
	if j.document, err = json.Marshal(document); err != nil {
		panic(err) // the rig's own values
	}
	return j
}

// newID is a UUID of version 4 that the seed decides.
func newID(chance *rand.Rand) string {
	a, b := chance.Uint64(), chance.Uint64()
	a = a&^0xf000 | 0x4000
	b = b&^(0xc<<60) | 0x8<<60
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
}

// answer is what depends on the input and the job alone.
func (t task) answer(id string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", id, t.Seed))
	return hex.EncodeToString(sum[:])
}
