package jobdoc

import (
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/internal/suggest"
	"github.com/runnerbean/runnerbean/jobs"
)

// fault returns the fault of the value at pointer. wants is the rest of a sentence
// that begins with the name of the field.
func fault(pointer, wants string, args ...any) *jobs.Fault {
	pointer = jsondoc.Bounded(pointer)
	return &jobs.Fault{Pointer: pointer, Message: jsondoc.FieldName(pointer) + " " + fmt.Sprintf(wants, args...)}
}

// unknown returns the fault of a member that s does not name.
func unknown(s *jsonschema.Schema, pointer, name string) *jobs.Fault {
	pointer = jsondoc.Bounded(pointer)
	msg := fmt.Sprintf("unknown field %s", jsondoc.Excerpt(name))
	if in := jsondoc.Parent(pointer); in != "" {
		msg += " in " + jsondoc.FieldName(in)
	}
	if near := suggest.Nearest(name, s.Properties); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	return &jobs.Fault{Pointer: pointer, Message: msg}
}
