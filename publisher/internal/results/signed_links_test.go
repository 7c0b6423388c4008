package results

import (
	"bytes"
	"strings"
	"testing"
)

func TestLargeDocumentsAreCarriedOnAsTheyAre(t *testing.T) {
	t.Parallel()
	const id = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"
	big := `{"artifacts":[{"name":"x"}],"n":1.50,"s":"é\u2028"},` + strings.Repeat(`[1,"a\"b",{"artifacts":null}],`, 50_000)
	for _, test := range []struct{ in, out string }{
		{`{"artifacts":[{"name":"a","url":"https://h/` + id + `/files/a","size":1,"sha256":"x"}]}`, `{"artifacts":[{"name":"a","url":"https://h/` + id + `/files/a?q=1","size":1,"sha256":"x"}]}`},
		{`{"artifacts":[{"name":"a","url":"https://elsewhere/a","size":1,"sha256":"x"}]}`, `{"artifacts":[{"name":"a","url":"https://elsewhere/a","size":1,"sha256":"x"}]}`},
		{`{"a":"artifacts","artifacts":7,"result":[` + big + `0]}`, `{"a":"artifacts","artifacts":7,"result":[` + strings.Replace(big, `\u2028`, "\u2028", 1) + `0]}`},
	} {
		var out bytes.Buffer
		if err := copyCarried(&out, strings.NewReader(test.in), id, id, "q=1"); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(out.String()); got != test.out {
			t.Errorf("%.300s became %.300s", test.in, got)
		}
	}
	if err := copyCarried(&bytes.Buffer{}, strings.NewReader(`{"artifacts":[`), id, id, "q=1"); err == nil {
		t.Error("half a document is a whole one")
	}
}
