package validate

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkCheck is the common case, and large values of all kinds.
func BenchmarkCheck(b *testing.B) {
	small := `{"type":"object","required":["site","horizon_h"],"properties":{"site":{"type":"string","maxLength":40},
		"horizon_h":{"type":"integer","minimum":1,"maximum":168},"model":{"enum":["fast","exact"]},
		"history":{"type":"array","items":{"type":"number","minimum":0}}},"additionalProperties":false}`
	numbers := strings.TrimSuffix(strings.Repeat("12.5,", 100), ",")
	for _, c := range []struct{ name, schema, value string }{
		{"small", small, `{"site":"north","horizon_h":48,"model":"fast","history":[` + numbers + `]}`},
		{"zeros16MiB", `{"type":"array","items":{"type":"integer","minimum":0}}`, zeros(16 << 20)},
		{"unique1M", `{"uniqueItems":true}`, counting(1_000_000)},
		{"exponents", `{"items":{"multipleOf":1e-999}}`, "[" + strings.TrimSuffix(strings.Repeat("1e999,", 4000), ",") + "]"},
		{"deep", `{"items":{"$ref":"#"}}`, strings.Repeat("[", 1000) + strings.Repeat("]", 1000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, value := compile(b, c.schema), []byte(c.value)
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Check(b.Context(), value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCompile is the largest schema that is taken.
func BenchmarkCompile(b *testing.B) {
	var members []string
	for i := range 4900 {
		members = append(members, fmt.Sprintf(`"p%d":{"type":"string"}`, i))
	}
	text := []byte(`{"properties":{` + strings.Join(members, ",") + `}}`)
	for b.Loop() {
		if _, err := Compile(text); err != nil {
			b.Fatal(err)
		}
	}
}

func zeros(n int) string { return "[" + strings.Repeat("0,", n/2-1) + "0]" }

func counting(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d,", i)
	}
	return "[" + strings.TrimSuffix(b.String(), ",") + "]"
}
