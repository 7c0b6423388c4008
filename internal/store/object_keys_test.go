package store

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", maxPart)
	for _, key := range []string{ResultKey(id1), LogKey(id1, 1), SeriesKey(id1, 1), AsideKey(id1, 12), "a/b", "a/" + long, "a/b/c/d/e", "results/0a/0.json"} {
		if err := CheckKey(key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	bad := []string{
		"", "a", "/", "/a/b", "a/", "a//b", "a/../b", "../a/b", "a/./b", "a/.b", "a/-b", "a/%2e", "tmp/a", "a/B", "a/b c",
		"a/b\x00", "a/b\n", `a\b/c`, "a/é", "a/b/c/d/e/f", "a/" + long + "a", strings.Repeat("a/", 300), ResultKey(""),
		ResultKey("../../etc/passwd"), "a/b:c", "con:/b",
	}
	for _, key := range bad {
		if err := CheckKey(key); !errors.Is(err, ErrKey) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestEveryMethodChecksItsKey(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	ctx, key := t.Context(), "../x"
	_, opened := s.Open(ctx, key)
	_, streamed := s.CreateFrom(ctx, key, strings.NewReader(""))
	for name, err := range map[string]error{
		"Open": opened, "CreateFrom": streamed, "Create": s.Create(ctx, key, nil),
		"Replace": s.Replace(ctx, key, nil), "Delete": s.Delete(ctx, key),
	} {
		if !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEncodeTellsNamesApart(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	names := []string{
		"", ".", "..", "a", "A", "a/b", "a%2fb", "a b", "a\x00b", "é", "\xff", "%", "%%", "..a", "-a", "~a",
		long, long + "y", strings.ToUpper(long), strings.Repeat("/", 80), strings.Repeat("/", 81), encode(long), encode(encode(long)),
	}
	seen := map[string]string{}
	for _, n := range names {
		e := encode(n)
		if other, ok := seen[e]; ok {
			t.Errorf("%.40q and %.40q are both %q", n, other, e)
		}
		seen[e] = n
	}
}

func FuzzFileKey(f *testing.F) {
	for _, n := range []string{"plot.png", "../../etc/passwd", "", "A", strings.Repeat("ä", 300), "%2e", "a\x00"} {
		f.Add(n, "other", 1)
	}
	f.Fuzz(func(t *testing.T, a, b string, attempt int) {
		ka, kb := FileKey(id1, attempt, a), FileKey(id1, attempt, b)
		if err := CheckKey(ka); err != nil {
			t.Fatal(err)
		}
		if (a == b) != (ka == kb) {
			t.Errorf("%q and %q give %q and %q", a, b, ka, kb)
		}
	})
}

func FuzzCheckKey(f *testing.F) {
	for _, k := range []string{"a/b", "../a", "results/ab/x.json", "tmp/x"} {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, key string) {
		_, _, _ = ResultKey(key), LogKey(key, 1), AsideKey(key, -1)
		if CheckKey(key) != nil {
			return
		}
		if strings.Contains(key, "..") && strings.Contains("/"+key+"/", "/../") || strings.HasPrefix(key, "/") ||
			strings.HasPrefix(key, tempRoot+"/") || strings.ToLower(key) != key || len(key) > maxKey {
			t.Errorf("admitted %q", key)
		}
	})
}
