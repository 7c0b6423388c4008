package validate

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// recursive is the name under which the target of $recursiveRef is known.
const recursive = ""

// resource is a schema with an identifier of its own. Dynamic references lead
// to the outermost of those on the way that has their anchor.
type resource struct{ anchors map[string]*rule }

// dynamic is a reference whose target depends on the way to it.
type dynamic struct {
	name   string
	target *rule // where no resource on the way has the anchor
}

// resources are those of a schema document, by the location of their root.
type resources struct {
	compiler *jsonschema.Compiler
	url      string              // of the document
	roots    map[string]bool     // JSON pointers, as in locations
	anchors  map[string][]string // of a root: pointers of $dynamicAnchor
	made     map[string]*resource
}

func newResources(c *jsonschema.Compiler, root *jsonschema.Schema, document any) *resources {
	at, _, _ := strings.Cut(root.Location, "#")
	r := &resources{compiler: c, url: at, roots: map[string]bool{"": true}, anchors: map[string][]string{}, made: map[string]*resource{}}
	r.find(document, "", "")
	return r
}

// find notes the resources in a document, and where they have dynamic anchors.
func (r *resources) find(v any, at, root string) {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			r.find(e, at+"/"+strconv.Itoa(i), root)
		}
	case map[string]any:
		if _, ok := v["$id"].(string); ok {
			root = at
			r.roots[root] = true
		}
		if _, ok := v["$dynamicAnchor"].(string); ok || v["$recursiveAnchor"] == true {
			r.anchors[root] = append(r.anchors[root], at)
		}
		for name, e := range v {
			r.find(e, at+"/"+escape(name), root)
		}
	}
}

// escape writes a name as the library does in locations.
func escape(name string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
}

func unescape(token string) string {
	name, _ := url.PathUnescape(token)
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
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

func (r *resources) place(at, pointer string) string {
	if at == r.url {
		at = schemaName
	}
	return at + "#" + pointer
}

// resolve is where a dynamic reference leads to on the way to here.
func (r *run) resolve(d *dynamic) *rule {
	for _, on := range r.way {
		if target := on.anchors[d.name]; target != nil {
			return target
		}
	}
	return d.target
}
