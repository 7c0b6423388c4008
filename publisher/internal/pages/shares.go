package pages

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
)

// figure is a large number with its meaning.
type figure struct {
	Number, Of, Meaning, Tone, Path string
	Since                           text.Piece // follows the meaning
}

// partView is a part of a whole, with a bar.
type partView struct {
	Name, Count string
	Bar         template.HTML
}

// maxParts is how many parts are listed.
const maxParts = 12

// parts returns the counts as parts of whole, the largest first.
func parts(counts map[jobs.Outcome]int64, whole int64, name func(jobs.Outcome) string) []partView {
	var list []partView
	for _, outcome := range largest(counts) {
		n := counts[outcome]
		list = append(list, partView{Name: name(outcome), Count: text.Grouped(n), Bar: chart.Share(float64(n) / float64(max(1, whole)))})
	}
	return list
}

// largest returns at most maxParts keys with a count above zero, the largest first.
func largest[K ~string](counts map[K]int64) []K {
	var keys []K
	for k, n := range counts {
		if n > 0 {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return keys[:min(len(keys), maxParts)]
}

func total[K ~string](counts map[K]int64) (sum int64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// sharePercent writes a share as a percentage, with a decimal above 90 %.
func sharePercent(part float64) string {
	switch p := part * 100; {
	case p == 100, p == 0:
		return fmt.Sprintf("%.0f %%", p)
	case p > 99.9:
		return "> 99.9 %"
	case p > 90:
		return fmt.Sprintf("%.1f %%", p)
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

// successWords returns how many jobs have ended, and the share of successes among
// those that were not cancelled.
func successWords(ended map[jobs.State]int64) (all, share, tone string) {
	good, bad := ended[jobs.Succeeded], ended[jobs.Failed]
	all = text.Grouped(good + bad + ended[jobs.Cancelled])
	if good+bad == 0 {
		return all, "", ""
	}
	part := float64(good) / float64(good+bad)
	switch {
	case part < 0.5:
		tone = "bad"
	case part < 0.95:
		tone = "warn"
	}
	return all, shareWords(part), tone
}

// shareWords writes a share as a percentage. It does not round up to 100 % or down to
// 0 %.
func shareWords(part float64) string {
	switch {
	case part > 0 && part < 0.001:
		return "under 0.1 %"
	case part < 1 && part > 0.999:
		return "over 99.9 %"
	case part == 0 || part == 1:
		return fmt.Sprintf("%.0f %%", part*100)
	}
	return fmt.Sprintf("%.1f %%", part*100)
}
