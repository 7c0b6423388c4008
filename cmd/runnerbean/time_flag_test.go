package main

import (
	"strings"
	"testing"
	"time"
)

func TestPastTime(t *testing.T) {
	var w pastTime
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
		if err := new(pastTime).Set(bad); err == nil || !strings.Contains(err.Error(), "2h") || !strings.Contains(err.Error(), "2026-11-22") && bad != "-2h" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestParseExpiry(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "12h": 12 * time.Hour, "1.5d": 36 * time.Hour, "2w": 14 * 24 * time.Hour, "2026-11-29T06:16:00Z": 7 * 24 * time.Hour, "1h30m": 90 * time.Minute} {
		if got, err := parseExpiry(text, now); err != nil || !got.Equal(now.Add(want)) {
			t.Errorf("%s: %s %v", text, got, err)
		}
	}
	if got, err := parseExpiry("", now); err != nil || !got.IsZero() {
		t.Errorf("never: %s %v", got, err)
	}
	for _, text := range []string{"0d", "-1h", "d", "90", "99999d", "2026-11-22", "2226-11-22", "40000d", "tomorrow"} {
		if got, err := parseExpiry(text, now); err == nil {
			t.Errorf("%s: %s", text, got)
		}
	}
}
