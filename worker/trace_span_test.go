package worker

import (
	"strings"
	"testing"
)

func TestNewSpan(t *testing.T) {
	t.Parallel()
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for text, flags := range map[string]string{
		"00-" + trace + "-" + parent + "-01":          "01",
		"00-" + trace + "-" + parent + "-00":          "00",
		"cc-" + trace + "-" + parent + "-03":          "03",
		"cc-" + trace + "-" + parent + "-01-and-more": "01",
	} {
		a, b := newSpan(text), newSpan(text)
		if a.parent != "00-"+trace+"-"+a.id+"-"+flags || len(a.id) != 16 || a.id == parent || a.id == b.id {
			t.Errorf("%s: %+v, %+v", text, a, b)
		}
	}
	for _, text := range []string{
		"", "x", "ff-" + trace + "-" + parent + "-01", "00-" + trace + "-" + parent + "-01-and-more",
		"00-" + strings.Repeat("0", 32) + "-" + parent + "-01", "00-" + trace + "-" + strings.Repeat("0", 16) + "-01",
		"00-" + strings.ToUpper(trace) + "-" + parent + "-01", "00-" + trace + "-" + parent + "-1", "00-" + trace + "-" + parent + "-01\n",
	} {
		if s := newSpan(text); s != (span{}) {
			t.Errorf("%q: %+v", text, s)
		}
	}
}
