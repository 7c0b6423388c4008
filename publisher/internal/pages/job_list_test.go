package pages

import (
	"net/url"
	"strings"
	"testing"
)

func TestFormFilter(t *testing.T) {
	t.Parallel()
	q := formFilter(url.Values{
		"state": {""}, "program": {" forecast "}, "since": {"2026-11-22T06:16"}, "until": {"nonsense"}, "cursor": {"x"}, "odd": {"y"},
		"text": {strings.Repeat("x", 600)},
	})
	want := url.Values{"program": {"forecast"}, "since": {"2026-11-22T06:16:00Z"}, "until": {"nonsense"}}
	if q.Encode() != want.Encode() {
		t.Errorf("%s, want %s", q.Encode(), want.Encode())
	}
}
