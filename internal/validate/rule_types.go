package validate

// rule is a compiled schema in the form in which values are checked. The library
// reads and resolves schemas; it checks values with time and memory without
// bounds, and cannot be stopped.
type rule struct {
	never, always bool // the schemas false and true

	// resource is the resource to which the rule belongs; nil where no reference of
	// the schema is dynamic.
	resource *resource
	dynamic  []*dynamic

	kinds              kind
	typeText           string
	enum, constant     map[fingerprint]struct{} // nil: any value
	enumText           string
	format             func(any) bool
	formatName         string
	minimum, maximum   *limit
	above, below       *limit // exclusive
	multiple           *limit
	minText, maxText   int // -1: none
	pattern            *pattern
	object             *objectRule // nil: nothing is asked of objects
	array              *arrayRule
	all, any, one      []*rule // all holds references, too
	not, when          *rule
	then, otherwise    *rule
	restNames          *rule // unevaluatedProperties
	restItems          *rule // unevaluatedItems
	textual, numerical bool  // something is asked of strings, of numbers
}

type objectRule struct {
	min, max   int
	required   []string
	named      map[string]*rule
	patterns   []namedRule
	others     *rule // additionalProperties; nil: any
	closed     bool  // others are counted as evaluated
	names      *rule
	needs      map[string][]string
	dependents map[string]*rule
	wanted     map[string]bool // names whose presence matters
}

type namedRule struct {
	pattern *pattern
	rule    *rule
}

type arrayRule struct {
	min, max    int
	unique      bool
	first       []*rule
	rest        *rule // of the items behind the first; nil: any
	closed      bool  // the rest are counted as evaluated
	contains    *rule
	least, most int
	counts      bool // what contains finds is counted as evaluated
}

// resource is a schema with an identifier of its own. Dynamic references lead
// to the outermost of those on the way that has their anchor.
type resource struct{ anchors map[string]*rule }

// dynamic is a reference whose target depends on the way to it.
type dynamic struct {
	name   string
	target *rule // where no resource on the way has the anchor
}

// fingerprint is the same for equal values, whatever the order of members and
// the way in which numbers and strings are written. That others have the same is
// less likely than a fault of the memory, also where somebody tries, because
// the seeds are not known.
type fingerprint [2]uint64
