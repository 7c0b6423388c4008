package operations

import (
	"fmt"
	"slices"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// FuzzSelection: no body makes it panic or selects more than it says.
func FuzzSelection(f *testing.F) {
	for _, body := range []string{
		`{"all":true}`, `{"program":"forecast","state":"queued","limit":5,"dry_run":true}`, `{"label":"a=b","node":"n"}`,
		`{"all":true,"cursor":"queued.AAAA"}`, `{"state":"running","cursor":"running."}`, `{}`, `null`, `{"all":1}`, `{"limit":1e9}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, v := range Verbs {
			var order api.Selection
			err := httpio.DecodeObject([]byte(body), &order)
			var s Selection
			if err == nil {
				s, err = SelectionOf(v, order)
			}
			if err != nil {
				checkProblem(t, err)
				continue
			}
			checkSelection(t, v, order, s)
		}
	})
}

func checkProblem(t *testing.T, err error) {
	t.Helper()
	p, ok := httpio.ProblemOf(err)
	if !ok || p.Status < 400 || p.Status > 499 || p.Detail == "" || len(p.Detail) > 1000 || len(p.Pointer) > 512 {
		t.Errorf("%v: %+v", err, p)
	}
}

func checkSelection(t *testing.T, v Verb, order api.Selection, s Selection) {
	t.Helper()
	if order.IDs != nil {
		if len(s.ids) == 0 || len(s.ids) > len(order.IDs) || order.All || order.State != "" || order.Text != "" {
			t.Errorf("%+v has become %+v", order, s)
		}
		return
	}
	whole := order.Program == "" && order.State == "" && order.Node == "" && order.Label == "" && order.Text == "" &&
		order.Since.IsZero() && order.Until.IsZero()
	if whole != order.All {
		t.Errorf("%+v is taken", order)
	}
	if order.Limit < 0 || order.Limit > httpio.MaxPage {
		t.Errorf("limit %d", order.Limit)
	}
	if len(s.states) == 0 || fmt.Sprint(s.filter.Program, s.filter.Node, s.filter.Label) != fmt.Sprint(order.Program, order.Node, order.Label) {
		t.Errorf("%+v has become %+v", order, s)
	}
	for _, state := range s.states {
		if !slices.Contains(v.States, state) || order.State != "" && state != order.State {
			t.Errorf("%+v goes through %s", order, state)
		}
	}
}
