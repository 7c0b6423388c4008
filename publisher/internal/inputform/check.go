package inputform

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/validate"
)

// checkTime bounds the check of one form.
const checkTime = 5 * time.Second

// Check validates an input by a program's schema. Where it is at fault, pointer
// is the JSON pointer of the place. A schema that cannot be used, or a check that
// does not end in some seconds, is not held against the input: the program's
// node checks it again.
func Check(ctx context.Context, text, input []byte) (pointer, fault string) {
	if len(text) == 0 {
		return "", ""
	}
	compiled, err := validate.Compile(text)
	if err != nil {
		return "", ""
	}
	if !jsontext.Value(input).IsValid() {
		return "", "is not well-formed JSON"
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var wrong *validate.Mismatch
	if !errors.As(panics.Call(func() error { return compiled.Check(ctx, input) }), &wrong) {
		return "", ""
	}
	return wrong.Pointer, wrong.Message
}
