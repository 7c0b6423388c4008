package frames

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRangeWidth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ first, last, want int }{
		{0, 999, 1}, {0, 1000, 2}, {1, 2000, 5}, {0, 99_999, 100}, {1, 100_000, 200}, {0, jobs.MaxFrame, 5_000_000}, {jobs.MaxFrame, jobs.MaxFrame, 1},
	} {
		if got := rangeWidth(c.first, c.last); got != c.want || c.last/got-c.first/got >= maxCells {
			t.Errorf("frames %d to %d: ranges of %d, want %d", c.first, c.last, got, c.want)
		}
	}
}

func TestLinksKeepSignatures(t *testing.T) {
	t.Parallel()
	p := Place{Page: "/results/x", Signature: "expires=1&signature=2"}
	for link, q := range map[string]Query{
		"/results/x?expires=1&signature=2#frames":                                      {Last: jobs.MaxFrame},
		"/results/x?sort=time&state=failed&expires=1&signature=2#frames":               {Last: jobs.MaxFrame, State: jobs.Failed, ByTime: true},
		"/results/x?first=5&last=9&expires=1&signature=2#frames":                       {First: 5, Last: 9},
		"/results/x?first=0&last=9&state=running&expires=1&signature=2#frames":         {Last: 9, State: jobs.Running},
		"/results/x?first=7&last=2147483647&state=queued&expires=1&signature=2#frames": {First: 7, Last: jobs.MaxFrame, State: jobs.Queued},
	} {
		if got := p.link(q); got != link {
			t.Errorf("%+v: %s, want %s", q, got, link)
		}
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReadQuery(u.Query()); err != nil || got != q {
			t.Errorf("%s is read as %+v, %v", link, got, err)
		}
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c cache
		var readings atomic.Int32
		takes := time.Duration(0)
		ask := func() int32 {
			n, err := cached(t.Context(), &c, "a", func(context.Context) (int32, error) {
				time.Sleep(takes)
				return readings.Add(1), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		want := func(when string, want int32) {
			t.Helper()
			if got := ask(); got != want {
				t.Errorf("%s: answer %d, want %d", when, got, want)
			}
		}
		want("at first", 1)
		time.Sleep(freshFor / 2)
		want("fresh", 1)
		time.Sleep(freshFor)
		want("stale, read again at once", 2)
		time.Sleep(freshFor + time.Second)
		takes = time.Second
		want("stale, and reading is slow", 2)
		time.Sleep(takes + takes/2)
		want("read in the background", 3)
		time.Sleep(staleFor + time.Second)
		want("too old", 4)
		c.forget()
		want("forgotten", 5)
		time.Sleep(staleFor)
		if _, err := cached(t.Context(), &c, "b", func(context.Context) (int, error) { return 0, errors.New("down") }); err == nil {
			t.Error("no error")
		}
		if _, err := cached(t.Context(), &c, "b", func(context.Context) (int, error) { panic("fault") }); err == nil {
			t.Error("no error of a panic")
		}
		for i := range 2 * maxKept {
			if _, err := cached(t.Context(), &c, string(rune(i+1000)), func(context.Context) (int, error) { return i, nil }); err != nil {
				t.Fatal(err)
			}
		}
		if len(c.kept) > maxKept {
			t.Errorf("%d answers are kept", len(c.kept))
		}
	})
}
