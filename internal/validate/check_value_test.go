package validate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v5"
)

// reference checks a value by the library itself.
func reference(schema, value []byte) (valid, usable bool) {
	defer func() {
		if recover() != nil {
			usable = false
		}
	}()
	c := jsonschema.NewCompiler()
	c.Draft, c.AssertFormat = jsonschema.Draft2020, true
	c.LoadURL = func(string) (io.ReadCloser, error) { return nil, os.ErrNotExist }
	if c.AddResource(schemaName, bytes.NewReader(schema)) != nil {
		return false, false
	}
	s, err := c.Compile(schemaName)
	if err != nil {
		return false, false
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return false, false
	}
	err = s.Validate(v)
	var wrong *jsonschema.ValidationError
	return err == nil, err == nil || errors.As(err, &wrong)
}

// schemas have every keyword, in the drafts that differ.
var schemas = []string{
	`true`, `false`, `{}`, `{"type":"integer"}`, `{"type":["number","null"]}`, `{"type":"object"}`, `{"type":"string"}`, `{"type":"boolean"}`, `{"type":"array"}`,
	`{"const":1}`, `{"const":{"a":1,"b":[1.0,"x"]}}`, `{"enum":[1,"a",null,[],{"a":1}]}`, `{"enum":[true,0,-0.0,1e2]}`, `{"const":null}`,
	`{"minimum":1,"maximum":10}`, `{"exclusiveMinimum":1,"exclusiveMaximum":10}`, `{"minimum":0.1,"maximum":0.1}`, `{"maximum":1e30}`, `{"minimum":-9223372036854775808}`,
	`{"multipleOf":2}`, `{"multipleOf":0.01}`, `{"multipleOf":1e-8}`, `{"multipleOf":123456789012345678901234567890}`,
	`{"minLength":2,"maxLength":3}`, `{"pattern":"^a+$"}`, `{"pattern":"b|ä"}`, `{"format":"date-time"}`, `{"format":"uri"}`, `{"format":"regex"}`, `{"format":"email"}`, `{"format":"nothing"}`,
	`{"minProperties":1,"maxProperties":2}`, `{"required":["a","b"]}`, `{"properties":{"a":{"type":"integer"},"b":false}}`,
	`{"properties":{"a":true},"additionalProperties":false}`, `{"patternProperties":{"^a":{"type":"integer"},"b$":{"minimum":2}},"additionalProperties":{"type":"string"}}`,
	`{"propertyNames":{"maxLength":1}}`, `{"dependentRequired":{"a":["b"]}}`, `{"dependentSchemas":{"a":{"required":["b"]}}}`, `{"dependentSchemas":{"a":{"properties":{"b":{}}}},"unevaluatedProperties":false}`,
	`{"minItems":1,"maxItems":2}`, `{"uniqueItems":true}`, `{"items":{"type":"integer"}}`, `{"prefixItems":[{"type":"integer"},{"type":"string"}],"items":false}`,
	`{"prefixItems":[{"type":"integer"}]}`, `{"contains":{"const":1}}`, `{"contains":{"type":"integer"},"minContains":2,"maxContains":2}`, `{"contains":{"const":1},"minContains":0}`,
	`{"allOf":[{"type":"integer"},{"minimum":2}]}`, `{"anyOf":[{"type":"string"},{"minimum":2}]}`, `{"oneOf":[{"minimum":2},{"maximum":5},{"type":"string"}]}`, `{"not":{"type":"integer"}}`,
	`{"if":{"type":"integer"},"then":{"minimum":2},"else":{"type":"string"}}`, `{"if":{"minimum":2}}`, `{"if":false,"else":{"type":"null"}}`,
	`{"$ref":"#/$defs/a","$defs":{"a":{"type":"integer"}}}`, `{"properties":{"a":{"$ref":"#"}},"additionalProperties":false}`, `{"$anchor":"r","items":{"$ref":"#r"},"type":"array"}`,
	`{"properties":{"a":true},"unevaluatedProperties":false}`, `{"allOf":[{"properties":{"a":true}}],"unevaluatedProperties":false}`,
	`{"anyOf":[{"properties":{"a":true},"required":["a"]},{"properties":{"b":true},"required":["b"]}],"unevaluatedProperties":false}`,
	`{"if":{"properties":{"a":{"const":1}},"required":["a"]},"then":{"properties":{"b":true}},"unevaluatedProperties":{"type":"string"}}`,
	`{"oneOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"b":{"type":"string"}}}],"unevaluatedProperties":false}`,
	`{"unevaluatedItems":false}`, `{"prefixItems":[true],"unevaluatedItems":{"type":"integer"}}`, `{"contains":{"type":"string"},"unevaluatedItems":false}`,
	`{"allOf":[{"prefixItems":[true,true]}],"unevaluatedItems":false}`, `{"not":{"not":{"properties":{"a":true}}},"unevaluatedProperties":false}`,
	`{"$dynamicAnchor":"n","items":{"$dynamicRef":"#n"},"type":["array","integer"]}`, `{"$ref":"https://json-schema.org/draft/2020-12/schema"}`,
	`{"$id":"http://x.org/a","$ref":"list","$defs":{"t":{"$dynamicAnchor":"t","type":"integer"},"list":{"$id":"list","items":{"$dynamicRef":"#t"},"$defs":{"d":{"$dynamicAnchor":"t"}}}}}`,
	`{"$id":"http://x.org/b","$ref":"list","$defs":{"t":{"$anchor":"t","type":"integer"},"list":{"$id":"list","items":{"$dynamicRef":"#t"},"$defs":{"d":{"$dynamicAnchor":"t"}}}}}`,
	`{"$schema":"https://json-schema.org/draft/2019-09/schema","$id":"http://x.org/c","$recursiveAnchor":true,"$ref":"tree","properties":{"b":false},"$defs":{"x":{"$id":"tree","$recursiveAnchor":true,"additionalProperties":{"$recursiveRef":"#"}}}}`,
	`{"$schema":"https://json-schema.org/draft/2019-09/schema","$ref":"https://json-schema.org/draft/2019-09/schema"}`,
	`{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"integer"}],"additionalItems":{"type":"string"}}`,
	`{"$schema":"http://json-schema.org/draft-07/schema#","items":[true],"additionalItems":false}`, `{"$schema":"http://json-schema.org/draft-07/schema#","items":{"type":"integer"}}`,
	`{"$schema":"http://json-schema.org/draft-07/schema#","dependencies":{"a":["b"],"c":{"required":["a"]}}}`,
	`{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true}`, `{"$schema":"http://json-schema.org/draft-04/schema#","type":"integer"}`,
	`{"$schema":"https://json-schema.org/draft/2019-09/schema","items":[true],"unevaluatedItems":false}`, `{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,"items":{"$recursiveRef":"#"},"type":["array","integer"]}`,
}

var values = []string{
	`null`, `true`, `false`, `0`, `-0.0`, `1`, `1.0`, `10e-1`, `2`, `5`, `10`, `1e2`, `100`, `0.1`, `1e-1`, `0.10000000000000001`, `0.07`, `1e30`, `1e31`, `1e-8`, `12.5`,
	`123456789012345678901234567890`, `-9223372036854775808`, `-9223372036854775809`, `9007199254740993`, `1e308`, `1e400`, `4.9e-324`,
	`""`, `"a"`, `"aa"`, `"äö"`, `"\u0061\u0061"`, `"😀😀😀"`, `"\ud83d\ude00"`, `"x(y"`, `"2026-11-26T08:00:00Z"`, `"https://example.org/?a=b"`, `"a@example.org"`, `"1"`, `"b"`,
	`[]`, `[1]`, `[1,2]`, `[1,"a"]`, `["a",1]`, `[1,1.0]`, `[1,2,3]`, `[[],[]]`, `[[1],[[1]]]`, `[{"a":1,"b":2},{"b":2.0,"a":1}]`, `[{"a":1},{"a":2}]`, `["a","\u0061"]`, `[0,-0.0]`, `[null,false,0,""]`, ` [ 1 , 2 ] `, `["a","b"]`,
	`{}`, `{"a":1}`, `{"a":"x"}`, `{"b":1}`, `{"a":1,"b":2}`, `{"a":1,"b":[1,"x"]}`, `{"b":[1.0,"\u0078"],"a":1.0}`, `{"a":{}}`, `{"a":{"a":{"c":1}}}`, `{"\u0061":1}`, `{"ab":1}`, `{"ab":2,"c":"x"}`, `{"c":1}`, `{"a":1,"b":2,"c":3}`, "{ \"a\" :\t1 ,\n\"c\" : [ ] }", `{"b":"x"}`, `{"ä":1}`, `{"type":7}`, `{"properties":{"a":{"minLength":-1}}}`, `{"items":{"type":"array"}}`, `{"a":{"b":1}}`,
}

// TestCheckAgreesWithTheLibrary compares what is valid for all of these.
func TestCheckAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	for _, schema := range schemas {
		s := compile(t, schema)
		for _, value := range values {
			want, usable := reference([]byte(schema), []byte(value))
			if !usable {
				t.Fatalf("the library cannot use %s", schema)
			}
			if err := s.Check(t.Context(), []byte(value)); (err == nil) != want {
				t.Errorf("%s and %s: %v, but the library says %t", schema, value, err, want)
			}
		}
	}
}

// FuzzCheck holds that nothing that is compiled panics or goes on after its
// context, and that small values are judged as by the library.
func FuzzCheck(f *testing.F) {
	for i, schema := range schemas {
		f.Add([]byte(schema), []byte(values[i%len(values)]))
	}
	f.Add([]byte(`{"maxLength":1e1000001}`), []byte(`1e1000001`))
	f.Fuzz(func(t *testing.T, schema, value []byte) {
		if len(schema) > 4<<10 || !jsontext.Value(value).IsValid() || !jsontext.Value(schema).IsValid() {
			return
		}
		s, err := Compile(schema)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = s.Check(ctx, value)
		var wrong *Mismatch
		if err != nil && !errors.As(err, &wrong) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%v", err)
			}
			return
		}
		// The library looks for dynamic anchors where the standard does not.
		known := !bytes.Contains(schema, []byte("content")) && !bytes.Contains(schema, []byte("$dynamic")) && !bytes.Contains(schema, []byte("$recursive"))
		if _, out := measure(ctx, value, maxNesting); out != nil || len(value) > 4<<10 || !known {
			return
		}
		if want, usable := reference(schema, value); usable && want != (err == nil) {
			t.Errorf("%s and %s: %v, but the library says %t", schema, value, err, want)
		}
	})
}

// endless are checks that would go on for hours. Nothing in them waits.
var endless = map[string]struct{ schema, value string }{
	"anyOf":    {`{"anyOf":[{"items":{"$ref":"#"},"maxItems":0},{"allOf":[{"items":{"$ref":"#"}},{"items":{"$ref":"#"}}]}]}`, strings.Repeat("[", 80) + strings.Repeat("]", 80)},
	"oneOf":    {`{"oneOf":[{"items":{"$ref":"#"}},{"items":{"$ref":"#"},"maxItems":0},{"items":{"$ref":"#"},"minItems":9}]}`, strings.Repeat("[", 200) + strings.Repeat("]", 200)},
	"not":      {`{"not":{"allOf":[{"items":{"$ref":"#"}},{"not":{"items":{"$ref":"#"}}}]}}`, strings.Repeat("[", 200) + strings.Repeat("]", 200)},
	"contains": {`{"contains":{"$ref":"#"},"items":{"$ref":"#"},"minContains":0}`, strings.Repeat("[", 200) + strings.Repeat("]", 200)},
	"uneval":   {`{"allOf":[{"items":{"$ref":"#"}},{"prefixItems":[{"$ref":"#"}]}],"unevaluatedItems":false}`, strings.Repeat("[", 200) + strings.Repeat("]", 200)},
	"pattern":  {`{"pattern":"^(a?){500}(a?){500}[^b]*b$"}`, `"` + strings.Repeat("a", 8<<20) + `"`},
	"names":    {`{"patternProperties":{` + manyPatterns(200) + `}}`, manyNames(200_000)},
	"enum":     {`{"allOf":[` + strings.TrimSuffix(strings.Repeat(`{"items":{"enum":[1e999,[1,2]]}},`, 1500), ",") + `]}`, "[" + strings.TrimSuffix(strings.Repeat("1e999,", 1<<20), ",") + "]"},
	"multiple": {`{"items":{"multipleOf":1e-999}}`, "[" + strings.TrimSuffix(strings.Repeat("1e999,", 8<<20), ",") + "]"},
}

func manyPatterns(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"^x(a|b){50}%d$":false`, i))
	}
	return strings.Join(list, ",")
}

func manyNames(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"x%s%d":1`, strings.Repeat("ab", 30), i))
	}
	return "{" + strings.Join(list, ",") + "}"
}

func TestTheEndOfItsContextEndsACheck(t *testing.T) {
	t.Parallel()
	cause := errors.New("enough")
	for name, c := range endless {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := compile(t, c.schema)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, cause)
			defer cancel()
			if err := s.Check(ctx, []byte(c.value)); !errors.Is(err, cause) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestACheckTakesLittleMemory is not parallel, because it counts what is allocated.
func TestACheckTakesLittleMemory(t *testing.T) {
	s := compile(t, `{"items":{"type":"integer","minimum":0,"multipleOf":1,"enum":[0,1]},"minItems":1}`)
	value := []byte(zeros(1 << 20))
	if n := testing.AllocsPerRun(1, func() {
		if err := s.Check(t.Context(), value); err != nil {
			t.Error(err)
		}
	}); n > 100 {
		t.Errorf("half a million values took %v allocations", n)
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schema, value, want string }{
		{`{"properties":{"n":{"type":"integer"}}}`, `{"n":"x"}`, "/n: expected integer, but got string"},
		{`{"items":{"minimum":2}}`, `[2,3, 1.5]`, "/2: must be >= 2 but found 1.5"},
		{`{"required":["a"]}`, `{}`, "missing properties: 'a'"},
		{`{"properties":{"a/b":{"maxLength":1}}}`, `{"a/b":"xyz"}`, "/a~1b: maximum 1 characters allowed, but found 3"},
		{`{"properties":{"ä":{"enum":["a","b"]}}}`, `{"ä":1}`, `/ä: value must be one of "a", "b"`},
		{`{"additionalProperties":false}`, `{"more":1}`, "/more: the property 'more' is not allowed"},
		{`{"uniqueItems":true}`, `[1,2,1.0]`, "the item at index 2 is equal to one before it"},
		{`{"properties":{"t":{"format":"date-time"}}}`, `{"t":"now"}`, `/t: "now" is not valid date-time`},
		{`{"anyOf":[{"properties":{"a":{"type":"string"}}},{"type":"null"}]}`, `{"a":1}`, "/a: expected string, but got number"},
		{`{"propertyNames":{"pattern":"^x"}}`, `{"y":1}`, "/y: does not match pattern '^x'"},
		{`{"oneOf":[true,true]}`, `1`, "more than one of the alternatives of which exactly one must match does"},
		{`{"items":false}`, `[1]`, "/0: not allowed"},
	} {
		if err := compile(t, c.schema).Check(t.Context(), []byte(c.value)); err == nil || err.Error() != c.want {
			t.Errorf("%s and %s: %v, want %s", c.schema, c.value, err, c.want)
		}
	}
}
