package worker

import (
	"testing"
)

// FuzzRunMessage reads arbitrary messages.
func FuzzRunMessage(f *testing.F) {
	f.Add([]byte(`{"id":"0190163d-8694-739b-aea5-966c26f8ad91","program":"p"}`))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if m, err := readRunMessage(body); err == nil && len(m.ID) != 36 {
			t.Errorf("id is %q", m.ID)
		}
	})
}
