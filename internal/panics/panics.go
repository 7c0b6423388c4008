// Package panics makes errors of panics, so that a defect that one job's data
// uncovers costs that job and not the process.
package panics

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
)

const (
	maxFrames = 24
	maxWhat   = 200 // bytes
)

// Error is a panic that was caught.
type Error struct {
	// What is the text of a runtime error; of anything else only its type,
	// because it may hold data.
	What string
	// Stack has one line for each of the innermost functions, without arguments.
	Stack string
}

func (e *Error) Error() string {
	first, _, _ := strings.Cut(e.Stack, "\n")
	return fmt.Sprintf("panic: %s in %s", e.What, first)
}

// Call returns what f returns, or an [*Error] where f panics.
func Call(f func() error) (err error) {
	defer Recover(&err)
	return f()
}

// Catch runs f and returns an [*Error] where it panics, else nil.
func Catch(f func()) *Error {
	var caught *Error
	errors.As(Call(func() error { f(); return nil }), &caught)
	return caught
}

// Recover is to be deferred: it puts an [*Error] into err where there is a panic.
func Recover(err *error) {
	if v := recover(); v != nil {
		*err = &Error{What: what(v), Stack: stack()}
	}
}

func what(v any) string {
	fault, ok := v.(runtime.Error)
	if !ok {
		return fmt.Sprintf("a %T", v)
	}
	text := fault.Error()
	return strings.ToValidUTF8(text[:min(len(text), maxWhat)], "")
}

// stack is where the panic came from. It is called by Recover.
func stack() string {
	callers := make([]uintptr, maxFrames+16)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	var lines []string
	for more := true; more && len(lines) < maxFrames; {
		var f runtime.Frame
		f, more = frames.Next()
		if len(lines) == 0 && strings.HasPrefix(f.Function, "runtime.") {
			continue // how the runtime got here
		}
		lines = append(lines, fmt.Sprintf("%s (%s:%d)", path.Base(f.Function), path.Base(f.File), f.Line))
	}
	return strings.Join(lines, "\n")
}
