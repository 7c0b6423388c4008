package queue

import (
	"strings"
	"testing"
)

func TestParseAddr(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"127.0.0.1:11300":            "127.0.0.1:11300",
		" 10.0.0.5 ":                 "10.0.0.5:11300",
		"queue":                      "queue:11300",
		"Queue.Example:1":            "queue.example:1",
		"my_queue:11300":             "my_queue:11300",
		"::1":                        "[::1]:11300",
		"[::1]":                      "[::1]:11300",
		"[::1]:7":                    "[::1]:7",
		"[0:0::1]:7":                 "[::1]:7",
		"[fe80::1%eth0]:7":           "[fe80::1%eth0]:7",
		"tcp://queue:7/":             "queue:7",
		"Beanstalk://queue":          "queue:11300",
		"unix:/run/beanstalkd.sock":  "unix:/run/beanstalkd.sock",
		"UNIX:///run//beanstalkd":    "unix:/run/beanstalkd",
		"unix:/run/with blank, or x": "unix:/run/with blank, or x",
	} {
		if got, err := ParseAddr(text); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", ":11300", "queue:", "queue:0", "queue:65536", "queue:-1", "queue:x", "a b:1", "http://queue:11300", "queue:1:2", "user@queue",
		"unix:", "unix:run/x", "unix:/" + strings.Repeat("x", 110), "unix:/a\nb", "-x:1", "a..b:1", "queue:11300/x", strings.Repeat("x", 70),
	} {
		got, err := ParseAddr(text)
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:11300") || len(err.Error()) > 600 {
			t.Errorf("%.80q is %q, %v", text, got, err)
		}
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, text := range []string{"queue:1", "unix:/a", "[::1]:2", "tcp://a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		addr, err := ParseAddr(text)
		if err != nil {
			return
		}
		if again, err := ParseAddr(addr); err != nil || again != addr {
			t.Errorf("%q is %q, which is %q, %v", text, addr, again, err)
		}
	})
}
