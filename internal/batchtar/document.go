package batchtar

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// Whole returns the batch with the files of the tar in its member package, as one document. A file
// that batch.json names there itself must be the same. The error is a *[Refused] or a
// [*jobs.Fault].
func (p *Package) Whole() ([]byte, error) {
	if _, err := jobdoc.BatchDocument(p.Batch); err != nil { // names it precisely
		return nil, err
	}
	members := map[string]jsontext.Value{}
	if err := json.Unmarshal(p.Batch, &members); err != nil {
		return nil, &jobs.Fault{Message: "the document cannot be read: " + err.Error()}
	}
	files := map[string]string{}
	if text, named := members["package"]; named {
		if err := json.Unmarshal(text, &files); err != nil || text.Kind() != '{' {
			return nil, &jobs.Fault{Pointer: "/package", Message: "package must be an object of the names of files, with their SHA-256 digests"}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Files)) {
		digest := p.Files[name]
		if other, named := files[name]; named && other != digest {
			return nil, &Refused{name, "has the SHA-256 " + digest + ", and " + Document + " says " + other}
		}
		files[name] = digest
	}
	if len(files) == 0 {
		return p.Batch, nil
	}
	text, err := json.Marshal(files, json.Deterministic(true))
	if err == nil {
		members["package"] = text
		text, err = json.Marshal(members, json.Deterministic(true))
	}
	if err != nil {
		return nil, &jobs.Fault{Message: "the document cannot be written: " + err.Error()}
	}
	return text, nil
}
