package queue

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestValidTube(t *testing.T) {
	t.Parallel()
	good := []string{
		"a", "default", InboxTube("runnerbean"), RunTube("runnerbean", "abcdefghij", "forecast"),
		"Az09-+/;.$_()", "+", strings.Repeat("x", maxTube),
	}
	for _, name := range good {
		if err := ValidTube(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	bad := []string{
		"", "-", "-a", " ", "a b", "a\r\nput 0 0 0 1", "a\x00", "ü", "\xff", "a,b", "a:b", "a*", "[]", "a\\b",
		strings.Repeat("x", maxTube+1),
	}
	for _, name := range bad {
		if err := ValidTube(name); !errors.Is(err, ErrTube) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTubeNames(t *testing.T) {
	t.Parallel()
	if got := InboxTube("p"); got != "p/inbox" {
		t.Error(got)
	}
	if got := RunTube("p", "l", "x"); got != "p/run/l/x" {
		t.Error(got)
	}
}

func TestWholeSeconds(t *testing.T) {
	t.Parallel()
	const most = math.MaxUint32 * time.Second
	tests := []struct{ d, want time.Duration }{
		{0, 0},
		{-1, 0},
		{math.MinInt64, 0},
		{1, time.Second},
		{900 * time.Millisecond, time.Second},
		{time.Second, time.Second},
		{time.Second + 1, 2 * time.Second},
		{most, most},
		{most - 1, most},
		{most + 1, most},
		{math.MaxInt64, most},
	}
	for _, test := range tests {
		if got := wholeSeconds(test.d); got != test.want {
			t.Errorf("%d: got %v, want %v", test.d, got, test.want)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	bad := []Config{
		{Addrs: []string{"nowhere:"}},
		{Addrs: []string{DefaultAddr, ""}},
		{Timeout: -1},
		{DialTimeout: -1},
		{MaxBody: -1},
	}
	for _, cfg := range bad {
		if _, err := NewProducer(cfg); err == nil {
			t.Errorf("NewProducer(%+v): no error", cfg)
		}
		if _, err := NewConsumer(cfg); err == nil {
			t.Errorf("NewConsumer(%+v): no error", cfg)
		}
	}
	cfg, err := Config{}.withDefaults()
	if err != nil || cfg.Addrs[0] != DefaultAddr || cfg.MaxBody != DefaultMaxBody || cfg.Timeout != DefaultTimeout || cfg.Logger == nil {
		t.Errorf("defaults: %+v, %v", cfg, err)
	}
}
