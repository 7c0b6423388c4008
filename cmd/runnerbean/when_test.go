package main

import (
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
	for _, bad := range []string{"", "yesterday", "-2h", "2026-11-22"} {
		if err := new(when).Set(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
