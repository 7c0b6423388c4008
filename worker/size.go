package worker

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// size is an amount in bytes, in program.json a number or text such as
// "512MiB".
type size int64

// maxSize is more than any machine has, and far from an overflow.
const maxSize size = 1 << 50

// Larger units come first, so that String finds the one that fits best.
var units = []struct {
	name string
	n    size
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"B", 1},
}

var errSize = errors.New(`must be a number of bytes, or text such as "512MiB"`)

func parseSize(text string) (size, error) {
	unit := size(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = number, u.n
			break
		}
	}
	// Without the signs and underscores that strconv would take.
	if strings.Trim(text, "0123456789") != "" {
		return 0, errSize
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errSize
	}
	if n > int64(maxSize/unit) {
		return 0, fmt.Errorf("must be at most %s", maxSize)
	}
	return size(n) * unit, nil
}

// UnmarshalJSON reads a whole number, or text.
func (s *size) UnmarshalJSON(data []byte) error {
	text := string(data)
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	n, err := parseSize(text)
	if err == nil {
		*s = n
	}
	return err
}

// String is s in the largest unit of which it is a whole number.
func (s size) String() string {
	for _, u := range units[:4] {
		if s != 0 && s%u.n == 0 {
			return strconv.FormatInt(int64(s/u.n), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}
