package worker

import (
	"testing"

	"github.com/go-json-experiment/json"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]size{
		`1`: 1, `"1"`: 1, `"7B"`: 7, `1048576`: 1 << 20, `"512MiB"`: 512 << 20, `"2GiB"`: 2 << 30, `"3kB"`: 3000,
		`"4KiB"`: 4096, `"5MB"`: 5e6, `"6GB"`: 6e9, `"1024TiB"`: maxSize, `"1TB"`: 1e12, `0`: 0,
		`""`: -1, `"MiB"`: -1, `-1`: -1, `"-1MiB"`: -1, `1.5`: -1, `1e3`: -1, `"1 MiB"`: -1, `"1mib"`: -1, `"+1"`: -1,
		`"1_0"`: -1, `"1025TiB"`: -1, `9223372036854775807`: -1, `"99999999999999999999"`: -1, `null`: -1, `true`: -1, `{}`: -1,
	} {
		got := size(-1)
		if err := json.Unmarshal([]byte(in), &got); got != want || (err == nil) != (want >= 0) {
			t.Errorf("%s is %d, want %d (%v)", in, got, want, err)
		}
	}
}

// FuzzSize reads what people write as sizes.
func FuzzSize(f *testing.F) {
	for _, text := range []string{"0", "1048576", "512MiB", "2GiB", "3kB", "-1", "1e9", "9999999999999999999TiB"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseSize(text)
		if err != nil {
			return
		}
		if n < 0 || n > maxSize {
			t.Errorf("%q is %d", text, n)
		}
		if again, err := parseSize(n.String()); err != nil || again != n {
			t.Errorf("%q is %d, and %s is %d (%v)", text, n, n, again, err)
		}
	})
}
