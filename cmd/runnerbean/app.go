package main

import (
	"context"
	"errors"
	"io"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/ledger"
)

// Exit codes for scripts. docs/operations.md lists them.
const (
	exitError     = 1
	exitUsage     = 2
	exitFailed    = 3   // the job failed
	exitCancelled = 4   // the job was cancelled
	exitSchema    = 5   // the ledger needs another version of the program, or other nodes do
	exitStopped   = 130 // a person stopped waiting with Ctrl-C
)

// codeError is an error with its own exit code.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

// app holds what all subcommands share. This file is below them, main.go above.
type app struct {
	kill           context.Context // ends at the second signal
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool
	envFile        string // of settings; already loaded
}

// toldError is an error that is in the log of a node already.
type toldError struct{ err error }

func (e *toldError) Error() string { return e.err.Error() }
func (e *toldError) Unwrap() error { return e.err }

// errorLine returns an error as the terminal shows it. The error may quote others.
func errorLine(err error) string { return "runnerbean: " + terminal.SafeLines(err.Error()) }

// usageError marks an error of arguments.
func usageError(err error) error { return &codeError{exitUsage, err} }

func exitCode(err error) int {
	var code *codeError
	var setting *settings.Error
	switch {
	case errors.As(err, &code):
		return code.code
	case errors.As(err, &setting):
		return exitUsage
	case errors.Is(err, ledger.ErrNewer), errors.Is(err, ledger.ErrUpgrading), errors.Is(err, ledger.ErrNodes):
		return exitSchema
	}
	return exitError
}
