package queue

import (
	"fmt"
	"strings"
)

// maxTube is one byte less than beanstalkd allows. go-beanstalk refuses a name of exactly
// 200 bytes only after it has lost track of the replies.
const maxTube = 199

// tubeChars are the characters that beanstalkd allows in a tube name.
const tubeChars = "-+/;.$_()0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// InboxTube returns the tube of incoming documents.
func InboxTube(prefix string) string { return prefix + "/inbox" }

// NodeInboxTube returns the tube of documents for one node.
func NodeInboxTube(prefix, node string) string { return InboxTube(prefix) + "/" + node }

// RunTube returns the tube of one program's runnable jobs in one ledger.
func RunTube(prefix, ledger, program string) string { return RunTubes(prefix) + ledger + "/" + program }

// RunTubes returns the prefix of all run tubes. A name with no further slash comes from
// schema version 3 or earlier, where a tube belonged to a program in all ledgers.
func RunTubes(prefix string) string { return prefix + "/run/" }

// ValidTube returns an error that wraps ErrTube if name is not a valid tube name.
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
