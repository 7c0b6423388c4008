package jobdoc

import (
	"cmp"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// violation is one error in the validator's report.
type violation struct {
	pointer string
	// part is the schema that the value does not meet, and keyword its keyword.
	part    *jsonschema.Schema
	keyword string
	// ofName is true if the name of the member is at fault, not its value.
	ofName bool
}

// schemaFault turns the validator's report into one fault. Of several it takes the
// least nested one that is first by name, so that the answer is always the same.
func (c *schemaIndex) schemaFault(err *jsonschema.ValidationError, root any) *jobs.Fault {
	all := c.violations(err, nil)
	first := slices.MinFunc(all, func(a, b violation) int {
		return cmp.Or(
			cmp.Compare(rank(a.pointer), rank(b.pointer)),
			cmp.Compare(a.pointer, b.pointer),
			cmp.Compare(a.keyword, b.keyword),
		)
	})
	v := valueAt(root, first.pointer)
	f := first.fault(v)
	f.Message += c.remedy(first, v)
	return f
}

// remedy returns what to write in place of an empty value of an optional member.
func (c *schemaIndex) remedy(f violation, v any) string {
	holder := c.root
	tokens := jsondoc.Tokens(f.pointer)
	for _, name := range tokens[:max(0, len(tokens)-1)] {
		if holder = resolveRef(holder.Properties[name]); holder == nil {
			return ""
		}
	}
	if len(tokens) == 0 || f.ofName || slices.Contains(holder.Required, tokens[len(tokens)-1]) || !empty(v) {
		return ""
	}
	switch {
	case slices.Equal(f.part.Types, []string{"object"}):
		return "; write {} or leave it out"
	case slices.Equal(f.part.Types, []string{"array"}):
		return "; write [] or leave it out"
	}
	return "; leave it out where there is none"
}

// empty reports whether languages use a value for "none".
func empty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return v == nil || v == "" || v == false || v == int64(0)
}

// rank sorts short pointers first, so that a field comes before its members and
// [2] before [10]. Members that are missing from the document come last.
func rank(pointer string) int {
	if pointer == "" {
		return 1 << 30
	}
	return len(pointer)
}

// violations collects the errors of a report that have no causes.
func (c *schemaIndex) violations(err *jsonschema.ValidationError, out []violation) []violation {
	f := c.locate(err)
	if len(err.Causes) == 0 || f.keyword == "oneOf" {
		return append(out, f)
	}
	for _, cause := range err.Causes {
		out = c.violations(cause, out)
	}
	return out
}

// locate finds the schema and the keyword that a report names.
func (c *schemaIndex) locate(err *jsonschema.ValidationError) violation {
	f := violation{pointer: unescapePath(err.InstanceLocation), part: c.root}
	if in, _, ofName := strings.Cut(err.KeywordLocation, "/propertyNames/"); ofName {
		f.ofName = true
		if strings.Count(f.pointer, "/") == strings.Count(in, "/properties/") {
			f.pointer += "/" // the validator leaves an empty name out
		}
	}
	where, rest := err.AbsoluteKeywordLocation, ""
	for c.parts[where] == nil {
		i := strings.LastIndexByte(where, '/')
		if i < 0 {
			return f
		}
		// The location of the root ends in "#", without a slash.
		if where[:i] == c.root.Location {
			f.keyword, _, _ = strings.Cut(where[i+1:]+rest, "/")
			return f
		}
		where, rest = where[:i], where[i:]+rest
	}
	f.part = c.parts[where]
	f.keyword, _, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	return f
}

// unescapePath undoes the URL escaping that the validator adds to a JSON pointer.
func unescapePath(location string) string {
	parts := strings.Split(location, "/")
	for i, p := range parts {
		if u, err := url.PathUnescape(p); err == nil {
			parts[i] = u
		}
	}
	return strings.Join(parts, "/")
}

// valueAt returns the value at a JSON pointer, or nil.
func valueAt(v any, pointer string) any {
	for _, t := range jsondoc.Tokens(pointer) {
		switch holder := v.(type) {
		case map[string]any:
			v = holder[t]
		case []any:
			i, err := strconv.Atoi(t)
			if err != nil || i < 0 || i >= len(holder) {
				return nil
			}
			v = holder[i]
		default:
			return nil
		}
	}
	return v
}

// fault describes the violation.
func (f violation) fault(v any) *jobs.Fault {
	if f.ofName {
		tokens := jsondoc.Tokens(f.pointer)
		return &jobs.Fault{Pointer: jsondoc.Bounded(f.pointer), Message: fmt.Sprintf("%s: the name %s must be %s",
			jsondoc.FieldName(jsondoc.Bounded(jsondoc.Parent(f.pointer))), jsondoc.Excerpt(tokens[len(tokens)-1]), f.part.Title)}
	}
	switch f.keyword {
	case "required":
		return f.missing(v)
	case "type":
		return f.otherType(v)
	}
	if wants := f.limit(); wants != "" {
		return fault(f.pointer, "%s", wants)
	}
	is := jsondoc.Excerpt(v)
	if s, ok := v.(string); ok && f.ofURL() {
		is = jsondoc.ExcerptURL(s)
	}
	return fault(f.pointer, "must be %s, not %s", f.part.Title, is)
}

// ofURL reports whether the value is a URL, of which what may be secret is not repeated.
func (f violation) ofURL() bool {
	top := jobSchema().root.Properties
	return f.part == resolveRef(top["webhook"]) || f.part == resolveRef(top["input"].Properties["url"])
}

var typeNames = map[string]string{
	"object": "an object", "array": "an array", "string": "a string", "integer": "an integer",
}

// otherType says which kind of value is wanted. It quotes a fraction where an
// integer is wanted, because both are numbers.
func (f violation) otherType(v any) *jobs.Fault {
	is := jsondoc.Kind(v)
	if _, ok := v.(float64); ok && f.part.Types[0] == "integer" {
		is = jsondoc.Excerpt(v)
	}
	return fault(f.pointer, "must be %s, not %s", typeNames[f.part.Types[0]], is)
}

// missing names the fields that are not there.
func (f violation) missing(v any) *jobs.Fault {
	object, _ := v.(map[string]any)
	var names []string
	for _, name := range f.part.Required {
		if _, ok := object[name]; !ok {
			names = append(names, strings.TrimPrefix(jsondoc.FieldName(f.pointer+"/"+name), "the document"))
		}
	}
	if len(names) == 1 {
		return &jobs.Fault{Pointer: f.pointer, Message: names[0] + " is missing"}
	}
	last := len(names) - 1
	return &jobs.Fault{Pointer: f.pointer, Message: strings.Join(names[:last], ", ") + " and " + names[last] + " are missing"}
}

// limit describes the limit that the value exceeds, or returns "".
func (f violation) limit() string {
	s := f.part
	switch f.keyword {
	case "minimum":
		return "must be at least " + ratio(s.Minimum)
	case "maximum":
		return "must be at most " + ratio(s.Maximum)
	case "minLength":
		return fmt.Sprintf("must have at least %s", jsondoc.Count(s.MinLength, "character"))
	case "maxLength":
		return fmt.Sprintf("must have at most %s", jsondoc.Count(s.MaxLength, "character"))
	case "maxItems":
		return fmt.Sprintf("must have at most %s", jsondoc.Count(s.MaxItems, "entry"))
	case "maxProperties":
		return fmt.Sprintf("must have at most %s", jsondoc.Count(s.MaxProperties, "entry"))
	case "uniqueItems":
		return "must not have the same entry twice"
	case "oneOf":
		return "must have exactly one of " + s.OneOf[0].Required[0] + " and " + s.OneOf[1].Required[0]
	case "dependentRequired":
		return dependent(s)
	}
	return ""
}

// dependent describes which member needs which others.
func dependent(s *jsonschema.Schema) string {
	for name, needs := range s.DependentRequired {
		return "may have " + name + " only beside " + strings.Join(needs, " and ")
	}
	return ""
}

func ratio(r *big.Rat) string { return r.RatString() }
