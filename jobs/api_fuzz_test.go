package jobs

import (
	"testing"
)

// FuzzParseAPI: no answer of a server makes the client panic, and what it accepts has what
// callers rely on.
func FuzzParseAPI(f *testing.F) {
	const status = `{"id":"019aae04-9f80-7c61-8d2e-5b1c7a90e1f2","program":"forecast","state":"failed","timestamp":"2026-11-22T06:16:00Z","error":{"class":"error","message":"x"}}`
	for _, s := range []string{
		"", "null", "{}", "[]", `{"jobs":null}`, `{"jobs":[` + status + `],"next":"x"}`, `{"jobs":[{}]}`, `{"jobs":[],"jobs":[]}`,
		`{"refused":1,"jobs":[{"status":201,"id":"x"},{"status":422,"error":{"title":"x"}}]}`, `{"jobs":[null,{"status":-1}]}`,
		`{"job":{"id":"x","timeout":"1x"},"status":` + status + `}`, `{"job":null,"status":` + status + `,"allowed":["retry"],"why":"","updated":"x"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if d, err := parseDetails(text); err == nil && (d.Status.ID == "" || d.Status.State == "") {
			t.Error("details without id or state")
		}
		if all, err := parseSubmitted(text, 2); err == nil {
			for _, j := range all.Jobs {
				_ = (&Client{}).outcome(j, false, "x")
			}
		}
		p, err := parsePage(text)
		if err != nil {
			return
		}
		for _, res := range p.Jobs {
			if !ValidID(res.ID) || res.State == "" {
				t.Errorf("listed %+v", res)
			}
			_ = res.Decode(new(any))
		}
	})
}
