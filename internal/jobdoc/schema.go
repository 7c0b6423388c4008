// Package jobdoc reads job documents strictly: text from a web server, a browser or
// the inbox becomes a [jobs.Job] or a fault. It holds the JSON Schemas of jobs and
// results.
package jobdoc

import (
	_ "embed"
	"slices"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/runnerbean/runnerbean/internal/validate"
)

const (
	schemaURL       = "https://runnerbean.github.io/schema/job.json"
	resultSchemaURL = "https://runnerbean.github.io/schema/result.json"
)

var (
	//go:embed schema/job.json
	schemaText []byte
	//go:embed schema/result.json
	resultSchemaText []byte
	//go:embed schema/batch.json
	batchSchemaText []byte
)

// Schema returns a copy of the JSON Schema (2020-12) of a job document.
func Schema() []byte { return slices.Clone(schemaText) }

// ResultSchema returns a copy of the JSON Schema (2020-12) of a result document.
func ResultSchema() []byte { return slices.Clone(resultSchemaText) }

// BatchSchema returns a copy of the JSON Schema (2020-12) of a batch, as POST /api/v1/batches
// takes it.
func BatchSchema() []byte { return slices.Clone(batchSchemaText) }

// schemaIndex is a schema with its parts by the location that the validator
// reports.
type schemaIndex struct {
	root  *jsonschema.Schema
	parts map[string]*jsonschema.Schema
}

// jobSchema compiles the schema when it is first used, so that an import of the
// package costs nothing.
var jobSchema = sync.OnceValue(func() *schemaIndex { return compile(schemaURL, schemaText) })

// compile panics if an embedded schema is broken, which every test would show.
func compile(url string, text []byte) *schemaIndex {
	c, err := validate.NewCompiler(url, text)
	if err != nil {
		panic(err)
	}
	c.ExtractAnnotations = true
	out := &schemaIndex{root: c.MustCompile(url), parts: map[string]*jsonschema.Schema{}}
	out.index(out.root)
	return out
}

// resolveRef returns what s refers to, else s itself. Members beside a $ref are there
// for readers, and to skip the step makes validation a third faster.
func resolveRef(s *jsonschema.Schema) *jsonschema.Schema {
	if s != nil && s.Ref != nil {
		return s.Ref
	}
	return s
}

// index adds s and all schemas in it.
func (c *schemaIndex) index(s *jsonschema.Schema) {
	if s == nil || c.parts[s.Location] != nil {
		return
	}
	c.parts[s.Location] = s
	for name, p := range s.Properties {
		s.Properties[name] = resolveRef(p)
		c.index(resolveRef(p))
	}
	for _, p := range s.OneOf {
		c.index(p)
	}
	s.Items2020 = resolveRef(s.Items2020)
	c.index(s.Items2020)
	c.index(s.PropertyNames)
	c.index(additional(s))
}

// additional returns the schema of members that s does not name, or nil.
func additional(s *jsonschema.Schema) *jsonschema.Schema {
	a, _ := s.AdditionalProperties.(*jsonschema.Schema)
	return a
}

// closed reports whether an object may have only the members that s names.
func closed(s *jsonschema.Schema) bool {
	allowed, ok := s.AdditionalProperties.(bool)
	return ok && !allowed
}
