// Package inputform makes a form from the schema of a program's input, and the input
// from the values that a person fills in. Parts of a schema without a field of their
// own are entered as JSON.
package inputform

import (
	"encoding/json"
	"slices"
	"strings"
)

// Kind tells how a person enters a value.
type Kind string

// Kinds of fields.
const (
	Group  Kind = "group"  // an object: its Fields
	Text   Kind = "text"   // one line
	Long   Kind = "long"   // several lines
	Number Kind = "number" // a number; Step is 1 for integers
	Switch Kind = "switch" // true or false
	Choice Kind = "choice" // one of Options
	List   Kind = "list"   // numbers or short texts, separated by lines or commas
	Time   Kind = "time"   // RFC 3339
	JSON   Kind = "json"   // anything, as JSON
)

const (
	maxDepth  = 6
	maxFields = 200
	maxOption = 200 // of one choice
)

// Field is one value of the input.
type Field struct {
	// Name is the JSON pointer of the value, "" for the whole input.
	Name        string
	Label       string
	Description string
	Kind        Kind
	Required    bool
	// Min, Max, Step, MaxLength and Pattern are attributes of the input element. An
	// empty one is left out.
	Min, Max, Step, MaxLength, Pattern string
	Options                            []string // as JSON, for a Choice
	Labels                             []string // of Options
	Numbers                            bool     // a List of numbers
	Whole                              bool     // the numbers of a Number or a List are integers
	Value                              string   // at first, or as it was filled in
	Error                              string   // what is wrong with the value
	Fields                             []*Field
}

// builder makes the fields of a schema.
type builder struct {
	defs  map[string]*schema
	count int
}

// New returns the form for a JSON Schema. Without a schema, or with one that says too
// little, it is one field for JSON.
func New(text []byte) *Field {
	var s schema
	if len(text) == 0 || json.Unmarshal(text, &s) != nil {
		return whole("")
	}
	b := &builder{defs: s.Defs}
	f := b.field("", "", &s, true, 0)
	if b.count > maxFields {
		return whole(s.Description)
	}
	if f.Kind != Group {
		f.Label = "Input"
	}
	return f
}

// whole returns the form for an input about which nothing is known.
func whole(description string) *Field {
	return &Field{Label: "Input as JSON", Description: description, Kind: JSON, Required: true}
}

func (b *builder) field(name, label string, s *schema, required bool, depth int) *Field {
	b.count++
	if def := b.defs[strings.TrimPrefix(s.Ref, "#/$defs/")]; s.Ref != "" && def != nil && def.Ref == "" {
		s = def
	}
	f := &Field{Name: name, Label: label, Description: s.Description, Required: required, Kind: JSON}
	if s.Title != "" && depth > 0 {
		f.Label = s.Title
	}
	if b.count > maxFields || depth > maxDepth {
		return f
	}
	b.shape(f, s, depth)
	f.Value = value(f, s)
	return f
}

// shape chooses the kind of a field. A value that may have several types is entered as
// JSON.
func (b *builder) shape(f *Field, s *schema, depth int) {
	if len(s.AnyOf)+len(s.OneOf)+len(s.AllOf) > 0 || s.Ref != "" {
		return
	}
	if len(s.Enum) > 0 && len(s.Enum) <= maxOption {
		f.choose(s.Enum)
		return
	}
	kinds := s.kinds()
	if len(kinds) == 0 && len(s.Properties.list) > 0 {
		kinds = []string{"object"}
	}
	if len(kinds) != 1 {
		return
	}
	switch kinds[0] {
	case "object":
		b.group(f, s, depth)
	case "boolean":
		f.Kind = Switch
	case "number", "integer":
		f.number(s, kinds[0] == "integer")
	case "string":
		f.text(s)
	case "array":
		b.list(f, s)
	}
}

func (b *builder) group(f *Field, s *schema, depth int) {
	if len(s.Properties.list) == 0 {
		return
	}
	f.Kind = Group
	for _, p := range s.Properties.list {
		f.Fields = append(f.Fields, b.field(f.Name+"/"+escape(p.name), p.name, p.schema, slices.Contains(s.Required, p.name), depth+1))
	}
}

// escape returns a name as a part of a JSON pointer (RFC 6901).
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func (f *Field) choose(options []json.RawMessage) {
	f.Kind = Choice
	for _, o := range options {
		f.Options = append(f.Options, string(o))
		label := string(o)
		var text string
		if json.Unmarshal(o, &text) == nil {
			label = text
		}
		f.Labels = append(f.Labels, label)
	}
}

func (f *Field) number(s *schema, whole bool) {
	f.Kind, f.Step, f.Whole = Number, "any", whole
	if whole {
		f.Step = "1"
	}
	f.Min, f.Max = s.Minimum.String(), s.Maximum.String()
	// HTML has no exclusive limits. Check tests them later.
	if f.Min == "" {
		f.Min = s.ExclusiveMinimum.String()
	}
	if f.Max == "" {
		f.Max = s.ExclusiveMaximum.String()
	}
}

func (f *Field) text(s *schema) {
	f.Kind, f.MaxLength, f.Pattern = Text, s.MaxLength.String(), s.Pattern
	if s.Format == "date-time" {
		f.Kind = Time
	}
	if n, err := s.MaxLength.Int64(); err == nil && n > 200 {
		f.Kind = Long
	}
}

// list makes a field for an array of numbers or texts. Other arrays are entered as
// JSON.
func (b *builder) list(f *Field, s *schema) {
	var items schema
	if json.Unmarshal(s.Items, &items) != nil {
		return
	}
	if def := b.defs[strings.TrimPrefix(items.Ref, "#/$defs/")]; items.Ref != "" && def != nil {
		items = *def
	}
	kinds := items.kinds()
	if len(kinds) != 1 || len(items.Enum)+len(items.AnyOf)+len(items.OneOf)+len(items.AllOf) > 0 {
		return
	}
	switch kinds[0] {
	case "number", "integer":
		f.Kind, f.Numbers, f.Whole = List, true, kinds[0] == "integer"
	case "string":
		f.Kind = List
	}
}

// value returns what a field holds at first: the default, or the first example where
// the field is required.
func value(f *Field, s *schema) string {
	v := s.Default
	if v == nil && f.Required && len(s.Examples) > 0 {
		v = s.Examples[0]
	}
	if v == nil {
		return ""
	}
	return write(f, v)
}

// write returns a JSON value as a person would enter it.
func write(f *Field, v json.RawMessage) string {
	switch f.Kind {
	case Text, Long, Time:
		var text string
		if json.Unmarshal(v, &text) == nil {
			return text
		}
	case List:
		var items []json.RawMessage
		if json.Unmarshal(v, &items) == nil {
			parts := make([]string, 0, len(items))
			for _, item := range items {
				parts = append(parts, write(&Field{Kind: Text}, item))
			}
			return strings.Join(parts, ", ")
		}
	}
	return string(v)
}
