package validate

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// rules turns compiled schemas into rules, each once.
type rules struct {
	made      map[*jsonschema.Schema]*rule
	resources *resources
	document  any
	depends   bool // there are dynamic references
	err       error
}

func (b *rules) rule(s *jsonschema.Schema) *rule {
	if s == nil {
		return nil
	}
	if r := b.made[s]; r != nil {
		return r
	}
	r := &rule{}
	b.made[s] = r
	if s.Always != nil {
		r.always, r.never = *s.Always, !*s.Always
		return r
	}
	for _, n := range []int{s.MinLength, s.MaxLength, s.MinItems, s.MaxItems, s.MinProperties, s.MaxProperties, s.MinContains, s.MaxContains} {
		if n < -1 {
			b.fail(s, "a length or count is out of range")
		}
	}
	b.scalars(r, s)
	b.objects(r, s)
	b.arrays(r, s)
	b.inPlace(r, s)
	return r
}

func (b *rules) fail(s *jsonschema.Schema, what string) {
	if b.err == nil {
		_, at, _ := strings.Cut(s.Location, "#")
		b.err = fmt.Errorf("%s%s", strings.TrimSuffix(at+": ", "/: "), what)
	}
}

func (b *rules) list(schemas []*jsonschema.Schema) []*rule {
	var list []*rule
	for _, s := range schemas {
		list = append(list, b.rule(s))
	}
	return list
}

// scalars is what does not lead to other schemas.
func (b *rules) scalars(r *rule, s *jsonschema.Schema) {
	for _, name := range s.Types {
		r.kinds |= kindNames[name]
	}
	r.typeText = strings.Join(s.Types, " or ")
	r.constant, r.enum = b.prints(s, s.Constant), b.prints(s, s.Enum)
	r.enumText = valuesText(s.Constant)
	if len(s.Enum) > 0 {
		r.enumText = valuesText(s.Enum)
	}
	r.format, r.formatName = formatOf(s.Format), s.Format
	r.minimum, r.maximum, r.multiple = newLimit(s.Minimum), newLimit(s.Maximum), newLimit(s.MultipleOf)
	r.above, r.below = newLimit(s.ExclusiveMinimum), newLimit(s.ExclusiveMaximum)
	r.minText, r.maxText, r.pattern = s.MinLength, s.MaxLength, newPattern(s.Pattern)
	r.textual = r.minText > 0 || r.maxText >= 0 || r.pattern != nil || r.format != nil
	for _, l := range []*limit{r.minimum, r.maximum, r.above, r.below, r.multiple} {
		r.numerical = r.numerical || l != nil
	}
}

// prints are the fingerprints of values; nil where there are none.
func (b *rules) prints(s *jsonschema.Schema, values []any) map[fingerprint]struct{} {
	if len(values) == 0 {
		return nil
	}
	set := make(map[fingerprint]struct{}, len(values))
	for _, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			b.fail(s, err.Error())
			continue
		}
		r := run{text: text}
		f, _ := r.print(0)
		set[f] = struct{}{}
	}
	return set
}

// maxValues is how many values of an enum a message names, and maxValueText how
// long they may be together.
const (
	maxValues    = 12
	maxValueText = 200
)

// valuesText lists values as a message says them; empty where they are too many
// or too long.
func valuesText(values []any) string {
	if len(values) > maxValues {
		return ""
	}
	var list []string
	for _, v := range values {
		text, _ := json.Marshal(v)
		list = append(list, string(text))
	}
	text := strings.Join(list, ", ")
	if len(text) > maxValueText {
		return ""
	}
	return text
}

func (b *rules) objects(r *rule, s *jsonschema.Schema) {
	o := &objectRule{
		min: s.MinProperties, max: s.MaxProperties, required: s.Required, names: b.rule(s.PropertyNames),
		named: map[string]*rule{}, needs: map[string][]string{}, dependents: map[string]*rule{}, wanted: map[string]bool{},
	}
	for name, sub := range s.Properties {
		o.named[name] = b.rule(sub)
	}
	for re, sub := range s.PatternProperties {
		o.patterns = append(o.patterns, namedRule{newPattern(re), b.rule(sub)})
	}
	slices.SortFunc(o.patterns, func(x, y namedRule) int { return strings.Compare(x.pattern.String(), y.pattern.String()) })
	switch others := s.AdditionalProperties.(type) {
	case bool:
		o.closed = true
		if !others {
			o.others = &rule{never: true}
		}
	case *jsonschema.Schema:
		o.closed, o.others = true, b.rule(others)
	}
	for name, needs := range s.DependentRequired {
		o.needs[name] = needs
	}
	for name, sub := range s.DependentSchemas {
		o.dependents[name] = b.rule(sub)
	}
	for name, what := range s.Dependencies {
		switch what := what.(type) {
		case []string:
			o.needs[name] = what
		case *jsonschema.Schema:
			o.dependents[name] = b.rule(what)
		}
	}
	o.want()
	if o.min > 0 || o.max >= 0 || o.names != nil || o.closed || len(o.named)+len(o.patterns)+len(o.wanted) > 0 {
		r.object = o
	}
}

// want notes the names whose presence matters.
func (o *objectRule) want() {
	for _, name := range o.required {
		o.wanted[name] = true
	}
	for name, needs := range o.needs {
		o.wanted[name] = true
		for _, n := range needs {
			o.wanted[n] = true
		}
	}
	for name := range o.dependents {
		o.wanted[name] = true
	}
}

func (b *rules) arrays(r *rule, s *jsonschema.Schema) {
	a := &arrayRule{min: s.MinItems, max: s.MaxItems, unique: s.UniqueItems, contains: b.rule(s.Contains), least: s.MinContains, most: s.MaxContains, counts: s.ContainsEval}
	a.first, a.rest = b.list(s.PrefixItems), b.rule(s.Items2020)
	switch items := s.Items.(type) { // of the drafts before 2020-12
	case *jsonschema.Schema:
		a.rest = b.rule(items)
	case []*jsonschema.Schema:
		a.first = b.list(items)
		switch others := s.AdditionalItems.(type) {
		case bool:
			a.closed = true
			if !others {
				a.rest = &rule{never: true}
			}
		case *jsonschema.Schema:
			a.rest = b.rule(others)
		}
	}
	a.closed = a.closed || a.rest != nil
	if a.min > 0 || a.max >= 0 || a.unique || a.contains != nil || a.closed || len(a.first) > 0 {
		r.array = a
	}
}

// inPlace is what is asked of the same value by other schemas.
func (b *rules) inPlace(r *rule, s *jsonschema.Schema) {
	if s.Ref != nil {
		r.all = append(r.all, b.rule(s.Ref))
	}
	if ref := s.RecursiveRef; ref != nil {
		b.dynamic(r, ref, ref.RecursiveAnchor, recursive)
	}
	if ref := s.DynamicRef; ref != nil {
		b.dynamic(r, ref, ref.DynamicAnchor != "" && b.byAnchor(s), ref.DynamicAnchor)
	}
	r.all = append(r.all, b.list(s.AllOf)...)
	r.any, r.one, r.not = b.list(s.AnyOf), b.list(s.OneOf), b.rule(s.Not)
	r.when, r.then, r.otherwise = b.rule(s.If), b.rule(s.Then), b.rule(s.Else)
	r.restNames, r.restItems = b.rule(s.UnevaluatedProperties), b.rule(s.UnevaluatedItems)
}

// dynamic takes a reference for a plain one where its target has no anchor that
// could be found elsewhere.
func (b *rules) dynamic(r *rule, ref *jsonschema.Schema, found bool, name string) {
	switch {
	case ref == nil:
	case found:
		r.dynamic = append(r.dynamic, &dynamic{name: name, target: b.rule(ref)})
		b.depends = true
	default:
		r.all = append(r.all, b.rule(ref))
	}
}

const (
	// maxFormatted bounds the strings that are checked against a format, but for
	// URIs and pointers, whose check takes time with their length only.
	maxFormatted = 8 << 10
	// maxNamedRegex bounds regular expressions that are values.
	maxNamedRegex = 1 << 10
)

// formatOf is the check of a format; nil where it is not known.
func formatOf(name string) func(any) bool {
	check := jsonschema.Formats[name]
	switch name {
	case "uri", "iri", "uri-reference", "uriref", "iri-reference", "json-pointer", "relative-json-pointer":
		return check
	case "regex":
		return isRegex
	}
	if check == nil {
		return nil
	}
	return func(v any) bool {
		content, _ := v.(string)
		return len(content) <= maxFormatted && check(v)
	}
}

func isRegex(v any) bool {
	content, _ := v.(string)
	if len(content) > maxNamedRegex || patternSize(content) > maxPattern {
		return false
	}
	_, err := regexp.Compile(content)
	return err == nil
}

// byAnchor reports whether the $dynamicRef of a schema names an anchor: a pointer
// is a plain reference. Those of metaschemas do.
func (b *rules) byAnchor(s *jsonschema.Schema) bool {
	at, pointer, _ := strings.Cut(s.Location, "#")
	if at != b.resources.url {
		return true
	}
	v := b.document
	for _, token := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		switch holder := v.(type) {
		case map[string]any:
			v = holder[unescape(token)]
		case []any:
			if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(holder) {
				v = holder[i]
			}
		}
	}
	m, _ := v.(map[string]any)
	ref, _ := m["$dynamicRef"].(string)
	_, fragment, _ := strings.Cut(ref, "#")
	return fragment != "" && fragment[0] != '/'
}

// of is the resource to which a schema belongs.
func (r *resources) of(b *rules, s *jsonschema.Schema) *resource {
	at, pointer, _ := strings.Cut(s.Location, "#")
	own := at == r.url
	for own && !r.roots[pointer] {
		pointer = pointer[:strings.LastIndexByte(pointer, '/')]
	}
	if !own {
		pointer = ""
	}
	name := at + "#" + pointer
	if known := r.made[name]; known != nil {
		return known
	}
	made := &resource{anchors: map[string]*rule{}}
	r.made[name] = made
	places := []string{""} // a metaschema has its anchor at the root
	if own {
		places = r.anchors[pointer]
	}
	for _, place := range places {
		anchored, err := r.compiler.Compile(r.place(at, place))
		if err != nil {
			b.fail(s, fmt.Sprintf("the dynamic anchor at %s: %v", place, err))
			continue
		}
		if anchored.DynamicAnchor != "" {
			made.anchors[anchored.DynamicAnchor] = b.rule(anchored)
		}
		if anchored.RecursiveAnchor {
			made.anchors[recursive] = b.rule(anchored)
		}
	}
	return made
}
