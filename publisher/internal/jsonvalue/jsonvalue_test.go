package jsonvalue

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrettyJSON(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 90)
	tests := map[string]struct{ raw, want string }{
		"scalar":      {`17`, `17`},
		"short":       {`{"a":1,"b":[1,2,{"c":","}]}`, `{"a": 1, "b": [1, 2, {"c": ","}]}`},
		"quotes":      {`{"a":"\":,\"","b":"\\"}`, `{"a": "\":,\"", "b": "\\"}`},
		"object":      {`{"a":"` + long + `","b":{}}`, "{\n  \"a\": \"" + long + "\",\n  \"b\": {}\n}"},
		"fill":        {`["` + long + `","b,b","c"]`, "[\n  \"" + long + "\",\n  \"b,b\", \"c\"\n]"},
		"hidden":      {"[\"\u202e\"]", `["\u{202e}"]`},
		"no JSON":     {"<html>", "<html>"},
		"nothing":     {"", ""},
		"cut":         {`{"a":`, `{"a":`},
		"wrong close": {`{"a":1]`, `{"a": 1]`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, cut := Pretty([]byte(test.raw), 1000)
			if diff := cmp.Diff(test.want, got); diff != "" || cut {
				t.Errorf("cut: %v %s", cut, diff)
			}
		})
	}
}

func TestPrettyJSONIsBounded(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`[`, 9000) + strings.Repeat(`]`, 9000)
	for name, raw := range map[string]string{
		"deep": deep, "deep objects": strings.Repeat(`{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":`, 9000) + "1" + strings.Repeat("}", 9000),
		"wide": "[" + strings.Repeat("1,", 1_000_000) + "1]", "long": `"` + strings.Repeat("é", 1_000_000) + `"`,
	} {
		got, cut := Pretty([]byte(raw), 10_000)
		if len(got) > 10_000 || !cut {
			t.Errorf("%s: %d bytes, cut %v", name, len(got), cut)
		}
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	long := make([]int, 5000)
	doc, err := json.Marshal(map[string]any{"a": map[string]any{"b": []any{1, "x\u202e", true, nil}}, "long": long})
	if err != nil {
		t.Fatal(err)
	}
	root := TreeOf(doc)
	if root.Holds != "2 members" || root.Children[0].Children[0].Children[1].Text != `“x\u{202e}”` || root.Children[0].Children[0].Children[1].Name != "1" {
		t.Errorf("%+v", root)
	}
	if l := root.Children[1]; l.Holds != "5,000 entries" || len(l.Children) != maxChildren || l.More != "… and 4,900 entries more" || l.Open {
		t.Errorf("%s, %d children, %s", l.Holds, len(l.Children), l.More)
	}
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	depth := 0
	for b := TreeOf([]byte(deep)); b != nil && len(b.Children) > 0; b = &b.Children[0] {
		depth++
	}
	if depth > maxTreeDepth {
		t.Errorf("%d deep", depth)
	}
	if b := TreeOf([]byte("[" + strings.Repeat("[1,2,3],", 5000) + "1]")); size(*b) > maxTreeNodes+maxChildren {
		t.Errorf("%d branches", size(*b))
	}
	for _, none := range []string{"", "1", `"x"`, "{" + strings.Repeat(" ", maxTreeSource) + "}"} {
		if TreeOf([]byte(none)) != nil {
			t.Errorf("a tree of %.10q", none)
		}
	}
}

func TestGrids(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`[{"a":1,"b":"x"},{"a":2.5,"c":null}]`:     "a# b c# | 1,x, | 2.5,,",
		`{"t":[{"a_b":1},{"a_b":"\u202e"}],"u":1}`: `a b | 1 | \u{202e}`,
		`[{"a":1}]`:           "",
		`[{"a":1},{"a":[1]}]`: "",
		`[{"a":1},2]`:         "",
		`[{},{}]`:             "",
		`[]`:                  "",
		`{"a":1}`:             "",
		`[{"a":1},{"a":2}`:    "a# | 1 | 2",
	} {
		var got string
		for _, g := range Tables([]byte(doc)) {
			for i, c := range g.Columns {
				got += map[bool]string{true: " "}[i > 0] + c.Name + map[bool]string{true: "#"}[c.Numeric]
			}
			for _, row := range g.Rows {
				got += " | " + strings.Join(row, ",")
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", doc, got, want)
		}
	}
}

func size(b Tree) int {
	n := 1
	for _, child := range b.Children {
		n += size(child)
	}
	return n
}
