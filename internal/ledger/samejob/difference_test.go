package samejob

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
)

const id = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"

// ours is what a pool at https://pool.example serves.
func ours(url string) (bool, error) {
	return strings.HasPrefix(url, "https://pool.example/") || strings.HasPrefix(url, "https://old.example/"), nil
}

// document returns a job with further members.
func document(members string) string {
	return fmt.Sprintf(`{"id":%q,"program":"cat","result":{"url":"https://pool.example/%s"},"input":{"data":{"a":1,"b":[1,2]}}%s}`, id, id, members)
}

func TestDifference(t *testing.T) {
	t.Parallel()
	plain := document("")
	input := func(data string) string { return strings.Replace(plain, `{"a":1,"b":[1,2]}`, data, 1) }
	result := func(url string) string { return strings.Replace(plain, "https://pool.example/", url, 1) }
	need := `"019aae04-9f80-7c61-8d2e-5b1c7a90e1f3"`
	other := `"019aae04-9f80-7c61-8d2e-5b1c7a90e1f4"`
	long := strings.Repeat("k", 2*maxPointer)
	for name, c := range map[string]struct {
		first, again string
		pointer      string
		same         bool
	}{
		"created":               {plain, document(`,"created":"2026-11-22T06:16:00Z"`), "", true},
		"another created":       {document(`,"created":"2026-11-22T06:16:00Z"`), document(`,"created":"2026-11-22T06:17:00Z"`), "", true},
		"a trace":               {plain, document(`,"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"`), "", true},
		"white space":           {plain, strings.ReplaceAll(plain, ",", " ,\n\t"), "", true},
		"null":                  {plain, document(`,"labels":null,"priority":null`), "", true},
		"the default priority":  {plain, document(`,"priority":1024`), "", true},
		"a time span":           {document(`,"timeout":"90s"`), document(`,"timeout":"1m30s"`), "", true},
		"a time zone":           {document(`,"not_before":"2026-11-22T06:16:00Z"`), document(`,"not_before":"2026-11-22T07:16:00+01:00"`), "", true},
		"order of data":         {plain, input(`{"b":[1,2],"a":1}`), "", true},
		"an escape in data":     {input(`"ü"`), input(`"\u00fc"`), "", true},
		"order of needs":        {document(`,"needs":[` + need + `,` + other + `]`), document(`,"needs":[` + other + `,` + need + `]`), "", true},
		"two URLs of the pool":  {plain, result("https://old.example/x/"), "", true},
		"program":               {plain, strings.Replace(plain, `"cat"`, `"dog"`, 1), "/program", false},
		"data":                  {plain, input(`{"a":2,"b":[1,2]}`), "/input/data/a", false},
		"an element of data":    {plain, input(`{"a":1,"b":[1,3]}`), "/input/data/b/1", false},
		"an element more":       {plain, input(`{"a":1,"b":[1,2,3]}`), "/input/data/b/2", false},
		"an element less":       {plain, input(`{"a":1,"b":[1]}`), "/input/data/b/1", false},
		"order of a list":       {plain, input(`{"a":1,"b":[2,1]}`), "/input/data/b/0", false},
		"a member more":         {plain, input(`{"a":1,"aa":null,"b":[1,2]}`), "/input/data/aa", false},
		"a member less":         {plain, input(`{"b":[1,2]}`), "/input/data/a", false},
		"the last member more":  {plain, input(`{"a":1,"b":[1,2],"c":1}`), "/input/data/c", false},
		"the last member less":  {plain, input(`{"a":1}`), "/input/data/b", false},
		"kind":                  {plain, input(`[]`), "/input/data", false},
		"more digits than 64":   {input(`12345678901234567890`), input(`12345678901234567891`), "/input/data", false},
		"a number's form":       {input(`1`), input(`1.0`), "/input/data", false},
		"true for text":         {input(`true`), input(`"true"`), "/input/data", false},
		"url for data":          {plain, strings.Replace(plain, `"data":{"a":1,"b":[1,2]}`, `"url":"https://a.example/"`, 1), "/input/data", false},
		"labels":                {plain, document(`,"labels":{"a":"b"}`), "/labels", false},
		"priority":              {plain, document(`,"priority":1`), "/priority", false},
		"webhook":               {document(`,"webhook":"https://a.example/"`), plain, "/webhook", false},
		"a URL elsewhere":       {plain, result("https://elsewhere.example/"), "/result/url", false},
		"two URLs elsewhere":    {result("https://a.example/"), result("https://b.example/"), "/result/url", false},
		"the first has a fault": {document(`,"colour":1`), plain, "", false},
		"the other has a fault": {plain, document(`,"colour":1`), "", false},
		"not JSON":              {plain, "{", "", false},
		"a long name":           {plain, input(fmt.Sprintf(`{"a":1,"b":[1,2],%q:1}`, long)), "/input/data", false},
		"the name of a slash":   {plain, input(`{"a":1,"b":[1,2],"c/~":1}`), "/input/data/c~1~0", false},
	} {
		pointer, same, err := Difference([]byte(c.first), []byte(c.again), ours)
		if err != nil || pointer != c.pointer || same != c.same {
			t.Errorf("%s: %q, %v, %v; want %q, %v", name, pointer, same, err, c.pointer, c.same)
		}
	}
}

func TestDifferenceNeedsAnAnswerAboutURLs(t *testing.T) {
	t.Parallel()
	again := strings.Replace(document(""), "https://pool.example/", "https://b.example/", 1)
	unknown := errors.New("the ledger is closed")
	_, same, err := Difference([]byte(document("")), []byte(again), func(string) (bool, error) { return false, unknown })
	if same || !errors.Is(err, unknown) {
		t.Errorf("%v, %v", same, err)
	}
}

// value draws a JSON value as decoded with numbers as texts.
func value(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(v bool) any { return v }), rapid.Map(rapid.String(), func(v string) any { return v }),
		rapid.Map(rapid.SampledFrom([]string{"0", "-0", "1e400", "1.50", "12345678901234567890"}), func(v string) any { return json.Number(v) }),
	)
	if depth == 0 {
		return leaf
	}
	return rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(value(depth-1), 0, 3), func(v []any) any { return v }),
		rapid.Map(rapid.MapOfN(rapid.StringN(0, 3, -1), value(depth-1), 0, 3), func(v map[string]any) any { return v }),
	)
}

// write writes a value with the members of its objects in a drawn order, and with drawn
// white space and escapes.
func write(rt *rapid.T, v any) string {
	space := rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(rt, "space")
	var parts []string
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			parts = append(parts, write(rt, e))
		}
		return space + "[" + strings.Join(parts, ",") + "]" + space
	case map[string]any:
		for name, e := range v {
			parts = append(parts, write(rt, name)+":"+write(rt, e))
		}
		parts = rapid.Permutation(parts).Draw(rt, "order")
		return space + "{" + strings.Join(parts, ",") + space + "}"
	case string:
		if rapid.Bool().Draw(rt, "escaped") {
			text := ""
			for _, r := range v {
				if r < 1<<16 {
					text += fmt.Sprintf(`\u%04x`, r)
				} else {
					text += string(r)
				}
			}
			return space + `"` + text + `"` + space
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		rt.Fatal(err)
	}
	return space + string(text) + space
}

// TestSameHoweverItIsWritten draws jobs, writes each twice, and changes one value of some.
func TestSameHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		data := value(3).Draw(rt, "data")
		job := map[string]any{
			"id": id, "program": "cat", "result": map[string]any{"url": "https://pool.example/" + id}, "input": map[string]any{"data": data},
			"labels": map[string]any{"b": "1", "a": "2"}, "timeout": "90s",
		}
		first := write(rt, job)
		job["created"] = rapid.SampledFrom([]string{"2026-11-22T06:16:00Z", "2027-01-01T00:00:00.5+14:00"}).Draw(rt, "created")
		job["priority"] = json.Number("1024")
		again := write(rt, job)
		if pointer, same, err := Difference([]byte(first), []byte(again), ours); err != nil || !same || pointer != "" {
			rt.Fatalf("%q, %v, %v for\n%s\n%s", pointer, same, err, first, again)
		}
		job["input"] = map[string]any{"data": []any{data, true}}
		pointer, same, err := Difference([]byte(first), []byte(write(rt, job)), ours)
		if err != nil || same || !strings.HasPrefix(pointer, "/input/data") {
			rt.Fatalf("another input: %q, %v, %v", pointer, same, err)
		}
		if at := jsontext.Pointer(pointer); !at.IsValid() {
			rt.Fatalf("%q is not a pointer", pointer)
		}
	})
}

func FuzzDifference(f *testing.F) {
	f.Add([]byte(document("")), []byte(document(`,"priority":1024`)))
	f.Add([]byte(document(`,"labels":{"a":"b"}`)), []byte(`[1]`))
	f.Add([]byte(`{`), []byte("\xff"))
	f.Fuzz(func(t *testing.T, first, again []byte) {
		at, same, err := Difference(first, again, ours)
		back, sameBack, errBack := Difference(again, first, ours)
		if err != nil || errBack != nil || same != sameBack || at != back || len(at) > maxPointer {
			t.Fatalf("%q %v %v, and back %q %v %v", at, same, err, back, sameBack, errBack)
		}
		a, fault := jobdoc.Decode(first)
		if _, self, err := Difference(first, first, ours); fault == nil && (err != nil || !self) {
			t.Fatalf("%v differs from itself: %v", a, err)
		}
	})
}
