package validate

import (
	"errors"
	"strings"
	"testing"
)

// hugeNumbers are short texts that stand for numbers on which arithmetic takes
// minutes and gigabytes, or which the validator cannot represent at all.
var hugeNumbers = []string{
	"1e1000001", "1E+1000001", "-1e1000001", "1e-1000001", "0e1000001", "1.5e99999999999999999999",
	"1e999999", "-0.0e-1001", strings.Repeat("9", 1001), "0." + strings.Repeat("1", 1001), "-" + strings.Repeat("8", 2000),
}

// numericKeywords are the ways in which a schema does arithmetic.
var numericKeywords = []string{
	`"type":"integer"`, `"minimum":1`, `"maximum":1`, `"exclusiveMinimum":1`, `"exclusiveMaximum":1`, `"multipleOf":3`,
	`"const":1`, `"enum":[1,2]`, `"uniqueItems":true`, `"not":{"const":7}`, `"format":"uri"`, `"title":"nothing"`,
}

func TestNumbersOutOfBoundsAreRefusedBeforeAnyArithmetic(t *testing.T) {
	t.Parallel()
	for _, keyword := range numericKeywords {
		schema := compile(t, `{"properties":{"n":{`+keyword+`,"items":{`+keyword+`}}}}`)
		for _, number := range hugeNumbers {
			for pointer, value := range map[string]string{
				"/n": `{"n":` + number + `}`, "/n/2": `{"n":[1,2,` + number + `]}`, "/n/0/a~1b": `{"n":[{"a/b": ` + number + `}]}`,
				"": number, "/o": `{"s":"1e1000001 \" ","o":` + number + `}`,
			} {
				var wrong *Mismatch
				if err := schema.Check(t.Context(), []byte(value)); !errors.As(err, &wrong) || wrong.Pointer != pointer ||
					!strings.Contains(wrong.Message, "can") || !strings.Contains(wrong.Message, "number") {
					t.Errorf("%s and %.60s: %v, want a fault at %s", keyword, value, err, pointer)
				}
			}
		}
	}
}

func TestNumbersWithinBoundsAreChecked(t *testing.T) {
	t.Parallel()
	schema := compile(t, `{"type":"number","minimum":-1e1000,"multipleOf":1e-1000}`)
	for _, number := range []string{"1e1000", "-1E+1000", "1e-1000", strings.Repeat("9", 1000), "0." + strings.Repeat("3", 999), "0"} {
		if err := schema.Check(t.Context(), []byte(number)); err != nil {
			t.Errorf("%.40s: %v", number, err)
		}
	}
}

func TestNoSchemaChecksNothing(t *testing.T) {
	t.Parallel()
	var none *Schema
	if err := none.Check(t.Context(), []byte("1e1000001")); err != nil {
		t.Error(err)
	}
}

func TestDeepValuesAreRefused(t *testing.T) {
	t.Parallel()
	schema := compile(t, `{"items":{"$ref":"#"}}`)
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if err := schema.Check(t.Context(), deep(maxNesting)); err != nil {
		t.Error(err)
	}
	for _, n := range []int{maxNesting + 1, 1 << 22} {
		var wrong *Mismatch
		if err := schema.Check(t.Context(), deep(n)); !errors.As(err, &wrong) {
			t.Errorf("%d deep: %v", n, err)
		}
	}
}

func compile(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Compile([]byte(text))
	if err != nil {
		t.Fatalf("%.200s: %v", text, err)
	}
	return s
}
