package jobdoc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
)

func BenchmarkDecode(b *testing.B) {
	for name, doc := range map[string]string{"minimal": minimal, "ordinary": ordinary, "full": full} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if _, err := jobdoc.Decode([]byte(doc)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeLargeInput(b *testing.B) {
	doc := []byte(with(object{"input": object{"data": json.RawMessage("[" + strings.Repeat("1234.5,", 100000) + "1]")}}))
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := jobdoc.Decode(doc); err != nil {
			b.Fatal(err)
		}
	}
}
