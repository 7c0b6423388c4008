package pages

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
)

func TestTheScriptForPagesStaysSmall(t *testing.T) {
	t.Parallel()
	data, err := wholeScript()
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	z.Close()
	if packed.Len() > 13<<10 {
		t.Errorf("runnerbean.js is %d bytes on the wire", packed.Len())
	}
}

// TestStylesAreWhole looks for a missing brace, which would take all rules after it
// away. No browser complains about it.
func TestStylesAreWhole(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"assets/style.css", "assets/dash.css"} {
		data, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		depth := 0
		for i, line := range strings.Split(string(data), "\n") {
			depth += strings.Count(line, "{") - strings.Count(line, "}")
			if depth < 0 || depth > 0 && strings.HasPrefix(line, "/*") {
				t.Fatalf("%s: line %d begins inside a block: %s", name, i+1, line)
			}
		}
		if depth != 0 {
			t.Errorf("%s: a block is not closed", name)
		}
	}
}
