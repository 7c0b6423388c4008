package jobs

import (
	"fmt"

	"github.com/runnerbean/runnerbean/internal/jsondoc"
)

// Fault is the error of a job document: what is wrong, and where. It is
// [ErrInvalid] and [ErrNotPut].
type Fault struct {
	// Syntax is true if the text is not JSON (HTTP status 400), and false if the
	// JSON is not a valid job (422).
	Syntax bool
	// Pointer is the JSON pointer (RFC 6901) of the fault; empty means the
	// document as a whole.
	Pointer string
	// Message names the field and what is wanted.
	Message string
	// ID, Program and ResultURL are those of the document, each empty if it is
	// missing or invalid. All are empty if Syntax is true.
	ID, Program, ResultURL string
}

// Error returns the message with the id and the pointer, where there are any.
func (f *Fault) Error() string {
	text := "job: " + f.Message
	if f.ID != "" {
		text = "job " + f.ID + ": " + f.Message
	}
	if f.Pointer != "" {
		text += " (at " + f.Pointer + ")"
	}
	return text
}

// Is reports whether target is [ErrInvalid] or [ErrNotPut].
func (f *Fault) Is(target error) bool { return target == ErrInvalid || target == ErrNotPut }

// newFault returns the fault of the value at pointer. wants is the rest of a sentence
// that begins with the name of the field.
func newFault(pointer, wants string, args ...any) *Fault {
	pointer = jsondoc.Bounded(pointer)
	return &Fault{Pointer: pointer, Message: jsondoc.FieldName(pointer) + " " + fmt.Sprintf(wants, args...)}
}
