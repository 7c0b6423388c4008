package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// programs are what jobs run: the rig's own binary, started by a node. Each
// returns its exit code.
var programs = map[string]func(call) int{"work": work}

// call is what a program is told.
type call struct {
	id, program string
	attempt     int
	node        string // the node that runs it
	input       []byte
}

// calledAsProgram reports whether a node has started this process.
func calledAsProgram() bool { return os.Getenv("RUNNERBEAN_JOB_ID") != "" }

func runProgram() int {
	input, err := io.ReadAll(os.Stdin)
	attempt, attemptErr := strconv.Atoi(os.Getenv("RUNNERBEAN_ATTEMPT"))
	name := os.Getenv("RUNNERBEAN_PROGRAM")
	program, ok := programs[name]
	if err != nil || attemptErr != nil || !ok {
		fmt.Fprintln(os.Stderr, "bad call:", name, err, attemptErr)
		return 65
	}
	return program(call{
		id: os.Getenv("RUNNERBEAN_JOB_ID"), program: name, attempt: attempt, node: nodeOf(os.Getenv("RUNNERBEAN_SCRATCH")), input: input,
	})
}

// nodeOf finds the node's name in the path of a scratch folder, which is
// .../<node>/scratch/...: a program is not told who runs it.
func nodeOf(scratch string) string {
	before, _, _ := strings.Cut(scratch, "/scratch")
	return filepath.Base(before)
}

// work records that it runs, takes its time and answers. Its result differs
// from that of every other run.
func work(c call) int {
	var t task
	if err := json.Unmarshal(c.input, &t); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 65
	}
	h, err := openHistory(t.History)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 75
	}
	h.note(check.Event{What: check.Run, Who: c.node, Job: c.id, Attempt: c.attempt})
	time.Sleep(time.Duration(t.MS) * time.Millisecond)
	if c.attempt <= t.Fails {
		h.note(check.Event{What: check.Ran, Who: c.node, Job: c.id, Attempt: c.attempt, Status: 75})
		return 75
	}
	h.note(check.Event{What: check.Ran, Who: c.node, Job: c.id, Attempt: c.attempt})
	err = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"answer": t.answer(c.id), "attempt": c.attempt, "nonce": rand.Text(),
		"pid": os.Getpid(), "pad": strings.Repeat("x", t.Pad),
	})
	if err != nil || h.close() != nil {
		return 75
	}
	return 0
}
