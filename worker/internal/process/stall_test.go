package process

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStall(t *testing.T) {
	t.Parallel()
	const s = time.Second
	type look struct {
		after, cpu time.Duration
		active     bool
	}
	still := func(n int) []look { // checks of an idle program
		looks := make([]look, n)
		for i := range looks {
			looks[i].after = s
		}
		return looks
	}
	cases := map[string]struct {
		looks []look
		want  bool // the last result; those before are false
	}{
		"still":              {still(9), true},
		"not yet":            {still(8), false},
		"spoke":              {append(append(still(8), look{after: s, active: true}), still(8)...), false},
		"spoke, then still":  {append(append(still(8), look{after: s, active: true}), still(9)...), true},
		"worked":             {append(still(8), look{after: s, cpu: s}), false},
		"a tick":             {append(still(8), look{after: s, cpu: idleTick}), true},
		"less than before":   {append(still(8), look{after: s, cpu: -s}), false},
		"we were stopped":    {append(still(1), look{after: time.Hour}), false},
		"too early to look":  {append(still(8), look{after: s / 2}), false},
		"looked much later":  {append(still(8), look{after: time.Hour}), true},
		"a little at a time": {[]look{{s, 0, false}, {s, 5 * time.Millisecond, false}, {s, 9 * time.Millisecond, false}, {s, s, false}, {s, s, false}}, false},
	}
	for name, c := range cases {
		var d stallDetector
		now := time.Now()
		d.start(8*s, now)
		var got []bool
		for _, l := range c.looks {
			now = now.Add(l.after)
			d.active = d.active || l.active
			got = append(got, d.stalled(now, func() time.Duration { return time.Hour + l.cpu }))
		}
		want := make([]bool, len(c.looks))
		want[len(want)-1] = c.want
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestNeverStalled(t *testing.T) {
	t.Parallel()
	var d stallDetector
	d.start(0, time.Now())
	if d.stalled(time.Now().Add(time.Hour), nil) {
		t.Error("it is stalled")
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	for _, stopFirst := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		killing, kill := context.WithCancel(t.Context())
		spec := child(t, "deaf")
		spec.Grace, spec.Kill = time.Hour, killing
		exit := whenReady(t, ctx, spec, func() {
			if stopFirst {
				cancel()
			}
			// The program is being stopped or ignores SIGTERM.
			time.AfterFunc(50*time.Millisecond, kill)
		})
		cancel()
		kill()
		want := Exit{
			Code: -1, Signal: syscall.SIGKILL, Killed: true, Cancelled: stopFirst, Stdout: []byte("ready\n"),
			CPU: exit.CPU, Wall: exit.Wall, MaxRSS: exit.MaxRSS,
		}
		if diff := cmp.Diff(want, exit); diff != "" {
			t.Error(diff)
		}
	}
	over, end := context.WithCancel(t.Context())
	end()
	if _, err := Run(t.Context(), Spec{Path: "/bin/true", Kill: over}); err == nil {
		t.Error("it was started")
	}
}
