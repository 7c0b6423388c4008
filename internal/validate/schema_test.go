package validate

import (
	"strings"
	"testing"
)

func TestHostileSchemasAreRefused(t *testing.T) {
	t.Parallel()
	keywords := []string{
		"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains",
		"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "const", "default",
	}
	cases := map[string]string{
		"not an object": `7`, "loop": `{"$ref":"#"}`, "longer loop": `{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"anyOf":[{"$ref":"#"}]}}}`,
		"file": `{"$ref":"file:///etc/passwd"}`, "elsewhere": `{"$ref":"https://example.org/s.json"}`, "draft": `{"$schema":"https://example.org/draft"}`,
		"pattern": `{"pattern":"("}`, "look-ahead": `{"pattern":"(?=a)"}`, "name pattern": `{"patternProperties":{"(?<=a)b":true}}`,
		"repetitions": `{"pattern":"((a{1000}){1000}){1000}"}`, "no pointer": `{"$ref":"#/%zz"}`, "nowhere": `{"$ref":"#/$defs/x"}`,
		"deep":  strings.Repeat(`{"not":`, 5000) + "{}" + strings.Repeat("}", 5000),
		"large": `{"enum":[` + strings.Repeat("0,", 200_000) + `0]}`,
		"type":  `{"type":"text"}`, "zero": `{"multipleOf":0}`, "enum": `{"enum":{"a":1e1000001}}`,
	}
	for _, keyword := range keywords {
		for _, number := range hugeNumbers {
			cases[keyword+" "+number] = `{"properties":{"a":{"` + keyword + `":` + number + `}}}`
			cases[keyword+" "+number+" in draft-04"] = `{"$schema":"http://json-schema.org/draft-04/schema#","` + keyword + `":` + number + `}`
		}
	}
	for name, text := range cases {
		if _, err := Compile([]byte(text)); err == nil {
			t.Errorf("%.60s: %.80s is accepted", name, text)
		}
	}
}

func TestARefusedNumberIsPointedAt(t *testing.T) {
	t.Parallel()
	_, err := Compile([]byte(`{"properties":{"a":{"maxLength":1e1000001}}}`))
	const want = "/properties/a/maxLength: the number 1e1000001 has an exponent beyond 1000, which cannot be checked"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
