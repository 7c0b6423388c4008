// Package suggest finds the known name that was probably meant by a mistyped one.
package suggest

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest returns the key of known, whose keys are in lower case, that was
// probably meant by name. It returns "" where none is near enough.
func Nearest[T any](name string, known map[string]T) string {
	if len(name) > 32 {
		return ""
	}
	best, least := "", 1+max(1, len(name)/3)
	folded := strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	for k := range known {
		d := distance(folded, k)
		if d < least || d == least && best != "" && k < best {
			best, least = k, d
		}
	}
	return best
}

// Closest returns up to n of the known names, the closest to name first.
func Closest(n int, name string, known []string) []string {
	edits := make(map[string]int, len(known))
	for _, k := range known {
		edits[k] = distance(name, k)
	}
	names := slices.SortedFunc(slices.Values(known), func(a, b string) int {
		return cmp.Or(edits[a]-edits[b], strings.Compare(a, b))
	})
	return names[:min(n, len(names))]
}

// distance returns how many bytes must be inserted, deleted, replaced or swapped
// with their neighbour to turn a into b: the Damerau-Levenshtein distance in its
// restricted form (optimal string alignment).
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := range len(a) {
		before, last, row := rows[0], rows[1], rows[2]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		rows = [3][]int{last, row, before}
	}
	return rows[1][len(b)]
}
