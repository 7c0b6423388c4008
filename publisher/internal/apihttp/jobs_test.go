package apihttp

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

func TestParseFilter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		query string
		want  listing.Filter
		fault string // part of the problem's detail
	}{
		{"", listing.Filter{}, ""},
		{
			"state=failed&program=forecast&node=n&label=meter%3D42&cursor=abc&limit=1000",
			listing.Filter{State: jobs.Failed, Program: "forecast", Node: "n", Label: "meter=42", Cursor: "abc", Limit: 1000},
			"",
		},
		{"state=done", listing.Filter{}, `"state" is one of`},
		{"state=", listing.Filter{}, `"state" is one of`},
		{"program=../x", listing.Filter{}, `"program"`},
		{"program=", listing.Filter{}, `"program"`},
		{"node=", listing.Filter{}, `"node"`},
		{"node=%00", listing.Filter{}, `"node"`},
		{"node=%ff", listing.Filter{}, `"node"`},
		{"label=meter", listing.Filter{}, `"label" is written key=value`},
		{"label=%3D1", listing.Filter{}, `"label"`},
		{"cursor=" + strings.Repeat("x", 513), listing.Filter{}, `"cursor"`},
		{"limit=0", listing.Filter{}, `"limit" is a number from 1 to 1000`},
		{"limit=1001", listing.Filter{}, `"limit"`},
		{"limit=many", listing.Filter{}, `"limit"`},
		{"limit=1&limit=2", listing.Filter{}, `"limit" is given more than once`},
		{"colour=red", listing.Filter{}, `"colour" is not known`},
		{strings.Repeat("y", 100) + "=1", listing.Filter{}, `"` + strings.Repeat("y", 64) + `"`},
	} {
		q, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseFilter(q)
		if test.fault == "" {
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("%q: %v %s", test.query, err, diff)
			}
			continue
		}
		p, ok := httpio.ProblemOf(err)
		if !ok || p.Status != 400 || !strings.Contains(p.Detail, test.fault) {
			t.Errorf("%q: got %v, want a 400 with %q", test.query, err, test.fault)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("state=failed&limit=5&cursor=x")
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		if filter, err := parseFilter(q); err == nil && (filter.Limit < 0 || filter.Limit > httpio.MaxPage) {
			t.Errorf("limit %d", filter.Limit)
		}
	})
}
