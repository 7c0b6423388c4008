package check

import (
	"fmt"
	"maps"
	"slices"
)

// connectionCuts demands enough cuts.
func connectionCuts(f *facts) []Figure {
	return wantAtLeast("connections cut", f.cuts, f.target, "")
}

func clockMoves(f *facts) []Figure {
	return wantAtLeast("clocks moved", f.clocks, f.target, "")
}

// wrongDeletes demands that messages are deleted only after the end of their
// job. A run that starts later shows that the job had not ended.
func wrongDeletes(f *facts) []Figure {
	n, of, example := 0, 0, ""
	for _, j := range f.order {
		of += len(j.deleted)
		for _, e := range j.deleted {
			if slices.ContainsFunc(j.runs, func(r run) bool { return r.began > e.T }) {
				n++
				example = fmt.Sprintf("%s (by %s)", j.id, e.Who)
			}
		}
	}
	figures := wantNone("messages deleted whose job ran afterwards", n, fmt.Sprint(of), example)
	figures[0].OK = figures[0].OK && of > 0 // else the proxy saw nothing
	return figures
}

// emptyTubes demands that no message is left at the end.
func emptyTubes(f *facts) []Figure {
	left, example := 0, ""
	for _, name := range slices.Sorted(maps.Keys(f.tubes)) {
		left += int(f.tubes[name])
		if f.tubes[name] > 0 {
			example = name
		}
	}
	figures := wantNone("messages left in the end", left, "", example)
	if len(f.tubes) == 0 {
		figures[0].OK, figures[0].Got = false, "nobody looked"
	}
	return figures
}
