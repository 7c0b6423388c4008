package jobs

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzParseResult: no answer of a server makes the client panic, and what it
// accepts says the same when written and read again.
func FuzzParseResult(f *testing.F) {
	const head = `{"id":"019aae04-9f80-7c61-8d2e-5b1c7a90e1f2","program":"forecast","timestamp":"2026-11-22T06:16:00.5+01:00",`
	for _, s := range []string{
		"", "{}", "null", `[]`, head, head + `"state":"queued","position":3}`, head + `"state":"running","progress":0.5,"counters":{"a":1e9}}`,
		head + `"state":"succeeded","result":null,"new":{"a":[1]}}`, head + `"state":"succeeded","result": {"a" : 1e400}}`,
		head + `"state":"failed","error":{"class":"error","message":"\u0000"},"provenance":{"inputs":[{"size":1}]}}`,
		head + `"state":"odd","attempt":9223372036854775808}`, head + `"state":"a","state":"b"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		res, err := parseResult(text)
		if err != nil {
			return
		}
		if res.ID == "" || res.State == "" {
			t.Fatal("accepted without id or state")
		}
		written, err := json.Marshal(res)
		if err != nil {
			t.Fatalf("accepted, but cannot be written: %v", err)
		}
		again, err := parseResult(written)
		if err != nil {
			t.Fatalf("written, but refused: %v\n%s", err, written)
		}
		if !again.Timestamp.Equal(res.Timestamp.Truncate(time.Nanosecond)) || again.ID != res.ID || again.State != res.State {
			t.Errorf("changed: %s", written)
		}
	})
}
