package inputform

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

const weather = `{"type":"object","title":"Weather","required":["place","days","grid"],"properties":{
	"place":{"type":"string","maxLength":80,"description":"A town.","examples":["Oslo"]},
	"days":{"type":"integer","minimum":1,"maximum":14,"default":7},
	"scale":{"type":"number","exclusiveMinimum":0},
	"model":{"enum":["fast","exact",3]},
	"verbose":{"type":"boolean"},
	"from":{"type":"string","format":"date-time"},
	"grid":{"type":"object","required":["x"],"properties":{"x":{"$ref":"#/$defs/size"},"a/b~c":{"type":"number"}}},
	"extra":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"on":{"type":"boolean"}}},
	"values":{"type":"array","items":{"$ref":"#/$defs/reals"}},
	"names":{"type":"array","items":{"type":"string"}},
	"matrix":{"type":"array","items":{"type":"array"}},
	"either":{"anyOf":[{"type":"string"},{"type":"number"}]},
	"any":true
},"$defs":{"size":{"type":"integer","minimum":1},"reals":{"type":"number"}}}`

func TestNewChoosesTheKindOfEachField(t *testing.T) {
	f := New([]byte(weather))
	var got []string
	for _, m := range f.Fields {
		got = append(got, m.Name+" "+string(m.Kind))
	}
	want := "/place text, /days number, /scale number, /model choice, /verbose switch, /from time, /grid group, " +
		"/extra group, /values list, /names list, /matrix json, /either json, /any json"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if place := f.Fields[0]; place.Value != "Oslo" || !place.Required || place.MaxLength != "80" {
		t.Errorf("%+v", place)
	}
	if days := f.Fields[1]; days.Value != "7" || days.Min != "1" || days.Max != "14" || days.Step != "1" {
		t.Errorf("%+v", days)
	}
	if grid := f.Fields[6]; grid.Fields[0].Kind != Number || !grid.Fields[0].Whole || grid.Fields[1].Name != "/grid/a~1b~0c" {
		t.Errorf("%+v", grid.Fields[0])
	}
}

func TestNewOfWhatSaysNothing(t *testing.T) {
	for _, text := range []string{"", "true", "[]", `{"type":7}`, `{}`, `{"type":"object"}`, `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}`} {
		if f := New([]byte(text)); f.Kind != JSON || f.Name != "" {
			t.Errorf("%s: %+v", text, f)
		}
	}
}

func TestNewIsBounded(t *testing.T) {
	wide := `{"type":"object","properties":{` + strings.TrimSuffix(strings.Repeat(`"a":{"type":"string"},`, 300), ",") + `}}`
	if f := New([]byte(wide)); f.Kind != JSON {
		t.Errorf("%d fields", len(f.Fields))
	}
	deep := strings.Repeat(`{"type":"object","properties":{"a":`, 50) + `{"type":"string"}` + strings.Repeat("}}", 50)
	depth := 0
	for f := New([]byte(deep)); len(f.Fields) > 0; f = f.Fields[0] {
		depth++
	}
	if depth > maxDepth+1 {
		t.Errorf("depth %d", depth)
	}
}

func TestReadMakesTheInput(t *testing.T) {
	posted := url.Values{
		"input/place": {"Ålesund <b>"}, "input/days": {" 3 "}, "input/scale": {"1e-3"}, "input/model": {"3"}, "input/verbose": {"on"},
		"input/grid/x": {"9007199254740993"}, "input/grid/a~1b~0c": {"0.10"}, "input/values": {"1, 2.5\n-3,\r\n"},
		"input/names": {"a,b"}, "input/matrix": {"[[1]]"}, "input/unknown": {"x"},
	}
	f := New([]byte(weather))
	input, ok := f.Read(posted)
	want := `{"place":"Ålesund \u003cb\u003e","days":3,"scale":1e-3,"model":3,"verbose":true,"grid":{"x":9007199254740993,"a/b~c":0.10},"values":[1,2.5,-3],"names":["a","b"],"matrix":[[1]]}`
	if !ok || string(input) != want {
		t.Errorf("ok %v\ngot  %s\nwant %s", ok, input, want)
	}
	if f.Fields[0].Value != "Ålesund <b>" {
		t.Errorf("the value is not kept: %q", f.Fields[0].Value)
	}
}

func TestReadNamesWhatIsWrong(t *testing.T) {
	for _, test := range []struct{ field, value, want string }{
		{"/days", "", "is needed"},
		{"/days", "seven", `"seven" is no number`},
		{"/days", "1.5", `"1.5" is no whole number`},
		{"/days", "0x10", `"0x10" is no number`},
		{"/scale", "NaN", `"NaN" is no number`},
		{"/scale", "Infinity", `"Infinity" is no number`},
		{"/model", `"slow"`, "is none of the choices"},
		{"/values", "1, x", `item 2: "x" is no number`},
		{"/matrix", "[1,", "is no JSON"},
		{"/grid/x", "", "is needed"},
	} {
		posted := url.Values{"input/place": {"Oslo"}, "input/days": {"7"}, "input/grid/x": {"1"}}
		posted.Set("input"+test.field, test.value)
		f := New([]byte(weather))
		_, ok := f.Read(posted)
		if got := find(f, test.field).Error; ok || !strings.Contains(got, test.want) {
			t.Errorf("%s = %q: ok %v, %q, want %q", test.field, test.value, ok, got, test.want)
		}
	}
}

func TestAGroupThatNobodyNeedsIsLeftOutWhenItIsEmpty(t *testing.T) {
	posted := url.Values{"input/place": {"Oslo"}, "input/days": {"7"}, "input/grid/x": {"1"}}
	if input, ok := New([]byte(weather)).Read(posted); !ok || strings.Contains(string(input), "extra") {
		t.Errorf("ok %v, %s", ok, input)
	}
	posted.Set("input/extra/on", "on")
	f := New([]byte(weather))
	if input, ok := f.Read(posted); ok || find(f, "/extra/name").Error != "is needed" {
		t.Errorf("ok %v, %s", ok, input)
	}
}

func TestBlameFindsTheField(t *testing.T) {
	f := New([]byte(weather))
	for pointer, field := range map[string]string{"/values/3": "/values", "/grid/x": "/grid/x", "/grid": "/grid", "/grid/other": "/grid"} {
		if !f.Blame(pointer, "is bad") || find(f, field).Error != "is bad" {
			t.Errorf("%s does not blame %s", pointer, field)
		}
		find(f, field).Error = ""
	}
	if f.Blame("", "is bad") || f.Blame("/nobody", "is bad") {
		t.Error("a field is blamed that is not there")
	}
	if one := New(nil); !one.Blame("/x", "is bad") || one.Error == "" {
		t.Error("the only field is not blamed")
	}
}

func find(f *Field, name string) *Field {
	if f.Name == name {
		return f
	}
	for _, m := range f.Fields {
		if found := find(m, name); found != nil {
			return found
		}
	}
	return nil
}

func FuzzForm(f *testing.F) {
	f.Add(weather, "input/place=Oslo&input/days=7&input/grid/x=1")
	f.Add(`{"type":"array","items":{"type":"number"}}`, "input=1,2")
	f.Fuzz(func(t *testing.T, schema, query string) {
		posted, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		if input, ok := New([]byte(schema)).Read(posted); ok && !json.Valid(input) {
			t.Errorf("%s and %s make %s", schema, query, input)
		}
	})
}

func TestCheckBoundsNumbers(t *testing.T) {
	for _, value := range []string{`{"days":1e1000001}`, `{"days":-1e-1000001}`, `{"days":` + strings.Repeat("9", 2000) + `}`} {
		if pointer, fault := Check(t.Context(), []byte(weather), []byte(value)); pointer != "/days" || !strings.Contains(fault, "number") {
			t.Errorf("%.40s: %q at %q", value, fault, pointer)
		}
	}
	if pointer, fault := Check(t.Context(), []byte(`{"maxLength":1e1000001}`), []byte(`"a"`)); pointer != "" || fault != "" {
		t.Errorf("a schema that cannot be used is held against the input: %q at %q", fault, pointer)
	}
}
