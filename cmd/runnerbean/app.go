package main

import (
	"context"
	"errors"
	"io"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// Exit codes, for scripts. docs/operations.md lists them.
const (
	exitError     = 1
	exitUsage     = 2
	exitFailed    = 3   // the job failed
	exitCancelled = 4   // the job was cancelled
	exitStopped   = 130 // by Ctrl-C, before it was done
)

// codeError ends the process with a code of its own.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

// app is what the subcommands share.
type app struct {
	kill           context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool
	envFile        string // of settings, already read
}

func usageError(err error) error { return &codeError{exitUsage, err} }

func exitCode(err error) int {
	var code *codeError
	var setting *settings.Error
	switch {
	case errors.As(err, &code):
		return code.code
	case errors.As(err, &setting):
		return exitUsage
	}
	return exitError
}
