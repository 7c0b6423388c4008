package pages

import (
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/api"
)

func TestProcessTree(t *testing.T) {
	list := []api.Process{
		{PID: 30, Parent: 20, Name: "c"},
		{PID: 10, Parent: 1, Name: "a"},
		{PID: 20, Parent: 10, Name: "b"},
		{PID: 40, Parent: 10, Name: "d"},
		{PID: 50, Parent: 50, Name: "itself"},
		{PID: 60, Parent: 61, Name: "loop"},
		{PID: 61, Parent: 60, Name: "loop"},
	}
	var got []string
	for _, p := range processTree(list) {
		got = append(got, strings.Repeat(">", p.Indent)+p.Name)
	}
	if s := strings.Join(got, " "); s != "a >b >>c >d itself loop >loop" {
		t.Errorf("got %s", s)
	}
}
