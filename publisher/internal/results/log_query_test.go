package results

import (
	"net/url"
	"testing"
)

func FuzzLogQuery(f *testing.F) {
	f.Add("attempt=1&tail=100")
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		if log, err := parseLogQuery(q); err == nil && (log.attempt < 0 || log.tail < -1) {
			t.Errorf("%+v", log)
		}
	})
}
