package results

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDecodeIndex reads what documents say about their files, wherever it is in them.
func TestDecodeIndex(t *testing.T) {
	t.Parallel()
	big := strings.Repeat(`[1,"a\"b",{"artifacts":null}],`, 50_000)
	for _, text := range []string{
		`{}`, `{"attempt":2,"finished":"2026-11-22T06:16:00Z","artifacts":[{"name":"a","size":3}],"left_out":[{"name":"b"}]}`,
		`{"result":{"attempt":7,"artifacts":[` + big + `0]},"artifacts":[{"name":"a"},{"name":"b"}],"attempt":1}`, `{"artifacts":null,"attempt":1}`,
		" {\"attempt\" : 1 }\n",
	} {
		var want index
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		got, err := decodeIndex(strings.NewReader(text))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%.100s: %v %s", text, err, diff)
		}
	}
	for _, text := range []string{"", "[]", `"x"`, "null", "{", `{"attempt":1`, `{"attempt":1,`, `{"attempt":"x"}`, `{"artifacts":[{"name":"a"}`, `{"result":[1,2`, `{"a":1 "b":2}`} {
		if got, err := decodeIndex(strings.NewReader(text)); err == nil {
			t.Errorf("%q is a document: %+v", text, got)
		}
	}
}
