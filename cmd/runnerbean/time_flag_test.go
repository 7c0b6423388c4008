package main

import (
	"strings"
	"testing"
	"time"
)

func TestWhen(t *testing.T) {
	var w when
	if err := w.Set("2026-11-22T07:16:00+01:00"); err != nil || w.String() != "2026-11-22T06:16:00Z" {
		t.Errorf("%v, %v", w.String(), err)
	}
	before := time.Now()
	if err := w.Set("2h"); err != nil || w.Before(before.Add(-2*time.Hour-time.Second)) || w.After(time.Now().Add(-2*time.Hour)) {
		t.Errorf("%v, %v", w, err)
	}
	if err := w.Set("90d"); err != nil || w.After(time.Now().Add(-90*24*time.Hour)) || w.Before(before.Add(-90*24*time.Hour-time.Second)) {
		t.Errorf("%v, %v", w, err)
	}
	if err := w.Set("2026-11-22"); err != nil || !w.Equal(time.Date(2026, 11, 22, 0, 0, 0, 0, time.Local)) {
		t.Errorf("%v, %v", w, err)
	}
	for _, bad := range []string{"", "yesterday", "-2h", "11/22/2026", "2"} {
		if err := new(when).Set(bad); err == nil || !strings.Contains(err.Error(), "2h") || !strings.Contains(err.Error(), "2026-11-22") && bad != "-2h" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
