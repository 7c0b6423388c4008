package main

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"
)

// size is a number of bytes, as text such as 256MiB or 10GB.
type size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%q is no size such as 256MiB or 10GB", text)
	}
	*s = size(n)
	return nil
}

func (s size) String() string { return humanize.IBytes(uint64(s)) }
