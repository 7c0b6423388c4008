package worker

import (
	"bytes"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/go-json-experiment/json"
)

// Size is an amount in bytes, in settings and program.json a number or text
// such as 512MiB.
type Size int64

// maxSize is more than any machine has, and far from an overflow.
const maxSize Size = 1 << 60

// UnmarshalText reads a number of bytes, or text such as 512MiB or 10GB.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	// A comma may be meant as that of 1,000 or of 1,5 GiB.
	if err != nil || n > uint64(maxSize) || bytes.ContainsRune(text, ',') {
		return fmt.Errorf("%q is not a number of bytes, nor text such as 512MiB", clean(string(text), 64))
	}
	*s = Size(n)
	return nil
}

// UnmarshalJSON is UnmarshalText of a number or a string; null stands for none.
func (s *Size) UnmarshalJSON(data []byte) error {
	text := string(data)
	if text == "null" {
		return nil
	}
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	return s.UnmarshalText([]byte(text))
}

func (s Size) String() string { return humanize.IBytes(uint64(max(s, 0))) }
