package health

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

const (
	// maxDifferences bounds the differences that are told.
	maxDifferences = 50
	// valuesShown bounds the values of one of them.
	valuesShown = 4
	maxValue    = 100 // characters of a value
)

// Differences says what living nodes of a pool should have alike and have not: the version,
// the settings that decide what becomes of a job, and the programs. nodes is by name and then
// newest first. A node from before settings were recorded is compared by the others.
func Differences(nodes []api.Node) []string {
	values := map[string]map[string][]string{} // names of nodes by value by what it is
	add := func(what, value, node string) {
		if values[what] == nil {
			values[what] = map[string][]string{}
		}
		values[what][value] = append(values[what][value], node)
	}
	for _, n := range Present(nodes) {
		if !n.Alive {
			continue
		}
		add("the version", n.Version, n.Name)
		for name, value := range n.Settings {
			add(name, value, n.Name)
		}
		for _, p := range n.Installed {
			add("the program "+p.Name, p.SHA256, n.Name)
		}
	}
	var list []string
	for _, what := range slices.Sorted(maps.Keys(values)) {
		if len(values[what]) > 1 {
			list = append(list, difference(what, values[what]))
		}
	}
	if more := len(list) - maxDifferences; more > 0 {
		list = append(list[:maxDifferences], "and "+text.Count(more, "more difference", "more differences"))
	}
	return list
}

// difference says which nodes have which value, the most common one first.
func difference(what string, nodes map[string][]string) string {
	order := slices.SortedFunc(maps.Keys(nodes), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(nodes[b]), len(nodes[a])), cmp.Compare(a, b))
	})
	var clauses []string
	for _, value := range order {
		names := make([]string, len(nodes[value]))
		for i, name := range nodes[value] {
			names[i] = text.Line(name, text.NameLimit)
		}
		shown := text.Line(value, maxValue)
		if len(value) == 64 { // a hash
			shown = text.Line(value[:12], maxValue) + "…"
		}
		clauses = append(clauses, fmt.Sprintf("%s on %s", cmp.Or(shown, "none"), text.Some(names, nodesShown)))
	}
	sentence := text.Line(what, text.NameLimit) + " differs: " + strings.Join(clauses[:min(len(clauses), valuesShown)], "; ")
	if more := len(clauses) - valuesShown; more > 0 {
		sentence += "; and " + text.Count(more, "more value", "more values")
	}
	return sentence
}
