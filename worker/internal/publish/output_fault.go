package publish

import (
	"errors"

	"github.com/runnerbean/runnerbean/internal/validate"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

// outputFault returns the fault for an output that is not one good JSON value.
func outputFault(err error) error {
	if over, timeout := errors.AsType[*fault.Fault](err); timeout {
		return over
	}
	if wrong, mismatch := errors.AsType[*validate.Mismatch](err); mismatch {
		f := fault.OfProgram("the result is not what program.json promises: " + wrong.Error())
		f.Pointer = wrong.Pointer
		return f
	}
	if bad, invalid := errors.AsType[*strictjson.Invalid](err); invalid {
		f := fault.OfProgram(bad.Message)
		f.Pointer = bad.Pointer
		return f
	}
	if errors.Is(err, strictjson.ErrEmpty) {
		return fault.OfProgram("it ended well but wrote nothing to stdout, where its result, one JSON value, is expected")
	}
	return fault.OfProgram("stdout must be exactly one JSON value: " + err.Error())
}
