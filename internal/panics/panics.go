// Package panics turns panics into errors. A panic that the data of one job causes then
// fails that job and not the process.
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
	// What is the text of a runtime error. For any other value it is only the type,
	// because the value may hold data.
	What string
	// Stack has one line for each of the innermost functions, without arguments.
	Stack string
}

func (e *Error) Error() string {
	first, _, _ := strings.Cut(e.Stack, "\n")
	return fmt.Sprintf("panic: %s in %s", e.What, first)
}

// Call returns the error of f, or an [*Error] if f panics.
func Call(f func() error) (err error) {
	defer Recover(&err)
	return f()
}

// Catch runs f. It returns an [*Error] if f panics, otherwise nil.
func Catch(f func()) *Error {
	var caught *Error
	errors.As(Call(func() error { f(); return nil }), &caught)
	return caught
}

// Recover sets err to an [*Error] if the function panics. The function defers it. An
// [*Error] that another goroutine has caught and passed on by a panic stays as it is.
func Recover(err *error) {
	if v := recover(); v != nil {
		if caught, ok := v.(*Error); ok {
			*err = caught
			return
		}
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

// stack returns the stack of the panic. Only Recover may call it.
func stack() string {
	callers := make([]uintptr, maxFrames+16)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	var lines []string
	for more := true; more && len(lines) < maxFrames; {
		var f runtime.Frame
		f, more = frames.Next()
		if len(lines) == 0 && strings.HasPrefix(f.Function, "runtime.") {
			continue // frames of the runtime above the panic
		}
		lines = append(lines, fmt.Sprintf("%s (%s:%d)", path.Base(f.Function), path.Base(f.File), f.Line))
	}
	return strings.Join(lines, "\n")
}
