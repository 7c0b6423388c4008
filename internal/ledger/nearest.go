package ledger

import (
	"slices"
	"sort"
)

// nearest returns up to three known names, the one that takes the fewest edits
// to reach first.
func nearest(name string, known []string) []string {
	names := slices.Clone(known)
	distance := make(map[string]int, len(names))
	for _, k := range names {
		distance[k] = edits(name, k)
	}
	sort.Slice(names, func(i, j int) bool {
		if distance[names[i]] != distance[names[j]] {
			return distance[names[i]] < distance[names[j]]
		}
		return names[i] < names[j]
	})
	return names[:min(3, len(names))]
}

// edits is the Levenshtein distance of two short ASCII names.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
