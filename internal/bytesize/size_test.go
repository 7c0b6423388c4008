package bytesize

import (
	"testing"

	"github.com/go-json-experiment/json"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Size{
		`1`: 1, `"1"`: 1, `"7B"`: 7, `1048576`: 1 << 20, `"512MiB"`: 512 << 20, `"2 GiB"`: 2 << 30, `"3kB"`: 3000,
		`"1.5GiB"`: 3 << 29, `"6GB"`: 6e9, `"1EiB"`: maxSize, `0`: 0,
		`""`: -1, `"MiB"`: -1, `-1`: -1, `"-1MiB"`: -1, `1e3`: -1, `"+1"`: -1, `"2EiB"`: -1,
		`9223372036854775807`: -1, `"99999999999999999999"`: -1, `true`: -1, `{}`: -1,
	} {
		got := Size(-1)
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
		n := Size(-1)
		if err := n.UnmarshalText([]byte(text)); err == nil && (n < 0 || n > maxSize) || err != nil && n != -1 {
			t.Errorf("%q is %d (%v)", text, n, err)
		}
	})
}
