package inputform

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/validate"
)

// checkTime is how long the check of one form may take.
const checkTime = 5 * time.Second

// Check validates an input against the schema of a program. fault says what is wrong
// at the JSON pointer. It is empty where the input is valid, and also where the schema
// cannot be used or the check takes too long: the node that runs the program checks
// the input again.
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
