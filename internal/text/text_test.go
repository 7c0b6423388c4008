package text

import (
	"strings"
	"testing"
	"time"
)

func TestLink(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"https://a.example/x?y=1&z#f", "http://127.0.0.1:8420/1/files/a%20b.csv", "/1/log", "/"} {
		if got := Link(good); got != good {
			t.Errorf("Link(%q) = %q", good, got)
		}
	}
	for _, bad := range []string{
		"", "x", "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://a.example", "mailto:a@b.example",
		"//evil.example", `/\evil.example`, `\\evil.example`, "https:///x", "https:x", "https://user@a.example/", " https://a.example", "https://a.example/\x00", "https://a.example/" + strings.Repeat("x", 5000),
	} {
		if got := Link(bad); got != "" {
			t.Errorf("Link(%q) = %q", bad, got)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	spans := map[time.Duration]string{
		-time.Second: "0 s", 0: "0 ms", 12 * time.Millisecond: "12 ms", time.Second: "1 s", 2400 * time.Millisecond: "2.4 s", 14200 * time.Millisecond: "14 s",
		59700 * time.Millisecond: "1 min", 90 * time.Second: "1 min 30 s", 3599700 * time.Millisecond: "1 h", 90 * time.Minute: "1 h 30 min", 26 * time.Hour: "1 d 2 h", 240 * time.Hour: "10 d",
	}
	for d, want := range spans {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%s) = %q, want %q", d, got, want)
		}
	}
	sizes := map[int64]string{0: "0 B", 999: "999 B", 1024: "1.0 KiB", 81_204: "79 KiB", 999_999: "977 KiB", 5 << 30: "5.0 GiB"}
	for n, want := range sizes {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
	numbers := map[float64]string{0: "0", -1: "−1", 1234567: "1,234,567", 0.0411: "0.0411", 1e300: "1e+300", -0.5: "−0.5"}
	for v, want := range numbers {
		if got := Number(v); got != want {
			t.Errorf("Number(%g) = %q, want %q", v, got, want)
		}
	}
}
