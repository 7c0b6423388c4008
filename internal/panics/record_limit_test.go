package panics

import (
	"strconv"
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	t.Parallel()
	var l Limit
	now := time.Now()
	one, same := Catch(func() { panic("a") }), &Error{}
	*same = *one
	same.What = "another text of the same place"
	for _, c := range []struct {
		stage, job string
		caught     *Error
		after      time.Duration
		want       bool
	}{
		{"audit", "", one, 0, true},
		{"audit", "", same, time.Minute, false},
		{"audit", "", Catch(func() { panic("b") }), time.Minute, true},
		{"resend", "", one, time.Minute, true},
		{"audit", "j1", one, time.Minute, true},
		{"audit", "j1", one, time.Minute, false},
		{"audit", "", one, limitEvery - 1, false},
		{"audit", "", one, limitEvery, true},
		{"audit", "", one, 0, true}, // the clock was ahead
	} {
		if got := l.Allow(c.stage, c.job, c.caught, now.Add(c.after)); got != c.want {
			t.Errorf("%s %s after %s: %v", c.stage, c.job, c.after, got)
		}
	}
	for i := range 2 * maxLimited {
		l.Allow("audit", strconv.Itoa(i), one, now)
	}
	if len(l.recorded) > maxLimited {
		t.Errorf("%d are remembered", len(l.recorded))
	}
}
