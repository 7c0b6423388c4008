package validate

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

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

func (r *resources) place(at, pointer string) string {
	if at == r.url {
		at = schemaName
	}
	return at + "#" + pointer
}

// recursive is the name under which the target of $recursiveRef is known.
const recursive = ""

// schemaName is how a schema is called while it is compiled.
const schemaName = "mem:///schema.json"
