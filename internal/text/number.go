package text

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// Count returns a number with the word for what it counts, such as "1 job" and
// "2,000 jobs".
func Count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Grouped(n) + " " + many
}

// Plural returns a number and thing, with an s where there is not one of it. It
// does not group digits.
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// Percent writes a share from 0 to 1 as a percentage without decimals. It takes
// other shares for 0 and 1.
func Percent(share float64) string { return fmt.Sprintf("%.0f %%", min(max(share, 0), 1)*100) }

// Grouped writes a whole number with commas between groups of three digits.
func Grouped[N int | int64](n N) string { return Thousands(strconv.FormatInt(int64(n), 10)) }

// Bytes writes a size in bytes, in units of 1024 such as MiB.
func Bytes(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// Number writes a number: all digits of a whole one, six digits of others.
func Number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return Minus(Thousands(strconv.FormatFloat(v, 'f', 0, 64)))
	}
	return Minus(strconv.FormatFloat(v, 'g', 6, 64))
}

// Minus replaces the hyphens in a written number by minus signs, and drops the
// sign of zero.
func Minus(s string) string {
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-")
	}
	return strings.ReplaceAll(s, "-", "−")
}

// Thousands puts commas between groups of three digits in the whole part of a
// written decimal number.
func Thousands(s string) string {
	whole, fraction, _ := strings.Cut(s, ".")
	sign := ""
	if rest, ok := strings.CutPrefix(whole, "-"); ok {
		sign, whole = "-", rest
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + whole
}
