// Package bytesize reads and writes amounts of bytes, such as 512MiB.
package bytesize

import (
	"bytes"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/go-json-experiment/json"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

// Size is a number of bytes. In settings and in program.json it is written as a
// number or as text such as 512MiB.
type Size int64

// maxSize is more than any machine has. Twice as much still fits into an int64.
const maxSize Size = 1 << 60

// UnmarshalText reads a number of bytes, or text such as 512MiB or 10GB.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	// A comma is ambiguous: 1,000 or 1,5 GiB.
	if err != nil || n > uint64(maxSize) || bytes.ContainsRune(text, ',') {
		return fmt.Errorf("%q is not a number of bytes, nor text such as 512MiB", logtext.Clean(string(text), 64))
	}
	*s = Size(n)
	return nil
}

// UnmarshalJSON reads a number or a string as UnmarshalText does. It leaves s as
// it is for null.
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

// String returns the size in binary units, such as "1.5 GiB".
func (s Size) String() string { return humanize.IBytes(uint64(max(s, 0))) }
