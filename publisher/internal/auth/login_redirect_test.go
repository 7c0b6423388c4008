package auth

import (
	"net/url"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/text"
)

func TestLocalPath(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"/", "/jobs?state=failed&x=%2F%2Fevil", "/nodes/a%20b", "/x//y"} {
		if got := LocalPath(good); got != good {
			t.Errorf("%q became %q", good, got)
		}
	}
	for _, bad := range []string{
		"", "x", "//evil.example", "///evil.example", `/\evil.example`, "\\\\evil.example", "https://evil.example", "/\t/evil.example", "/\n/evil",
		" /x", "/x y", "javascript:alert(1)", "/" + strings.Repeat("a", text.LinkLimit), "/login?next=/login", "/%zz", "//user@evil.example",
	} {
		if got := LocalPath(bad); got != "/" {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	f.Add("/jobs?x=1")
	f.Add("/\\evil")
	f.Add("/%5c/evil")
	f.Fuzz(func(t *testing.T, path string) {
		got := LocalPath(path)
		base := &url.URL{Scheme: "http", Host: "node.example", Path: "/login"}
		to, err := base.Parse(got)
		if err != nil || to.Host != base.Host || to.Scheme != "http" || strings.HasPrefix(got, "//") || strings.Contains(got, `\`) || LocalPath(got) != got {
			t.Errorf("%q leads to %q (%v)", path, got, err)
		}
	})
}
