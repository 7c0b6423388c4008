package testbed

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

// Program is called for a job and returns its exit code.
type Program func(Call) int

// Call is what a program gets.
type Call struct {
	ID, program string
	attempt     int
	node        string // that runs it
	Input       []byte
}

// CalledAsProgram reports whether a node has started this process.
func CalledAsProgram() bool { return os.Getenv("RUNNERBEAN_JOB_ID") != "" }

// RunProgram calls the program that the node has started, and returns its exit
// code.
func RunProgram(programs map[string]Program) int {
	input, err := io.ReadAll(os.Stdin)
	attempt, attemptErr := strconv.Atoi(os.Getenv("RUNNERBEAN_ATTEMPT"))
	name := os.Getenv("RUNNERBEAN_PROGRAM")
	program, ok := programs[name]
	if err != nil || attemptErr != nil || !ok {
		fmt.Fprintln(os.Stderr, "bad call:", name, err, attemptErr)
		return 65
	}
	return program(Call{
		ID: os.Getenv("RUNNERBEAN_JOB_ID"), program: name, attempt: attempt, node: nodeOf(os.Getenv("RUNNERBEAN_SCRATCH")), Input: input,
	})
}

// nodeOf returns the name of the node from the path of a scratch folder,
// .../<node>/scratch/...
func nodeOf(scratch string) string {
	before, _, _ := strings.Cut(scratch, "/scratch")
	return filepath.Base(before)
}

// Work records its start and end, runs for a time and prints a result. Every
// run has a different result.
func Work(c Call) int {
	var t Task
	if err := json.Unmarshal(c.Input, &t); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 65
	}
	h, err := openHistory(t.History)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 75
	}
	h.Note(check.Event{What: check.Run, Who: c.node, Job: c.ID, Attempt: c.attempt})
	time.Sleep(time.Duration(t.MS) * time.Millisecond)
	if c.attempt <= t.Fails {
		h.Note(check.Event{What: check.Ran, Who: c.node, Job: c.ID, Attempt: c.attempt, Status: 75})
		return 75
	}
	h.Note(check.Event{What: check.Ran, Who: c.node, Job: c.ID, Attempt: c.attempt})
	err = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"answer": t.Answer(c.ID), "attempt": c.attempt, "nonce": rand.Text(),
		"pid": os.Getpid(), "pad": strings.Repeat("x", t.Pad),
	})
	if err != nil || h.close() != nil {
		return 75
	}
	return 0
}

// WriteProgram writes a shell script of one line.
func WriteProgram(path, line string) error {
	return os.WriteFile(path, []byte("#!/bin/sh\n"+line+"\n"), 0o755)
}
