package queue

import (
	"fmt"
	"strings"
)

// maxTube is one byte less than beanstalkd allows, for go-beanstalk refuses a
// name of exactly 200 bytes, and does so after it has lost its place.
const maxTube = 199

// tubeChars are what beanstalkd allows in a tube name.
const tubeChars = "-+/;.$_()0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// InboxTube is the tube on which documents arrive.
func InboxTube(prefix string) string { return prefix + "/inbox" }

// RunTube is the tube of the runnable jobs that one ledger has of a program.
func RunTube(prefix, ledger, program string) string { return RunTubes(prefix) + ledger + "/" + program }

// RunTubes is what the names of all run tubes begin with. Where no other slash
// follows, a tube is one of schema version 3 and before: of a program, whatever
// the ledger.
func RunTubes(prefix string) string { return prefix + "/run/" }

// ValidTube returns an error that wraps ErrTube and says why, if name cannot be
// the name of a tube.
func ValidTube(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrTube)
	case len(name) > maxTube:
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTube, len(name), maxTube)
	case name[0] == '-':
		return fmt.Errorf("%w: %q starts with -", ErrTube, name)
	case strings.Trim(name, tubeChars) != "":
		return fmt.Errorf("%w: %q has other characters than letters, digits and -+/;.$_()", ErrTube, name)
	}
	return nil
}

func validTubes(names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("%w: none given", ErrTube)
	}
	for _, name := range names {
		if err := ValidTube(name); err != nil {
			return err
		}
	}
	return nil
}
