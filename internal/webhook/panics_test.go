package webhook

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestAHookThatPanicsHurtsNoOther checks that a hook on which the node panics is given
// up and its stack recorded. All other hooks are sent, also those of its host.
func TestAHookThatPanicsHurtsNoOther(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	var hooks []Hook
	for range 9 {
		hooks = append(hooks, hook(server.URL))
	}
	bad := hooks[4]
	r := newFixture(t, func(c *Config) {
		where := c.ResultURL
		c.ResultURL = func(ctx context.Context, id string) (string, error) {
			if id == bad.Job {
				panic("a mine")
			}
			return where(ctx, id)
		}
	}, hooks...)
	defer r.stop()
	for range hooks {
		<-r.ended
	}
	if message := r.said(bad.ID); !strings.Contains(message, "panics_test.go:") || strings.Contains(message, "a mine") {
		t.Errorf("it was given up with %q", message)
	}
	for _, h := range hooks {
		if h.ID != bad.ID && r.said(h.ID) != "" {
			t.Errorf("another one failed: %s", r.said(h.ID))
		}
	}
}
