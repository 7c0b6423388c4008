package listing

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("not a cursor")
	f.Add(Cursor{Accepted: 1795328160123456, ID: "01990000-0000-7000-8000-000000000000"}.String())
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCursor(s)
		if err != nil || s == "" {
			return
		}
		if got := c.String(); got != s {
			t.Errorf("%q came back as %q", s, got)
		}
		if c.ID == "" || c.Accepted < 0 || len(c.ID) > engine.MaxID {
			t.Errorf("%+v", c)
		}
	})
}
