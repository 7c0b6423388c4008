package jobdoc

import (
	"encoding/json"
	"time"

	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// converter converts a document that meets the schema to a Job. It keeps the first
// fault in what the schema cannot check.
type converter struct {
	fault *jobs.Fault
}

// convert reads the fields of a valid document.
func convert(t parsedDocument) (jobs.Job, *jobs.Fault) {
	var c converter
	doc := object(t.root)
	job := jobs.Job{
		ID:           text(doc["id"]),
		Program:      text(doc["program"]),
		Input:        input(object(doc["input"]), t),
		Files:        files(array(doc["files"])),
		Result:       jobs.Target{URL: text(object(doc["result"])["url"])},
		Created:      c.time(doc, "created"),
		Priority:     priority(doc["priority"]),
		NotBefore:    c.time(doc, "not_before"),
		Expires:      c.time(doc, "expires"),
		Timeout:      c.duration(doc, "timeout"),
		Attempts:     int(integer(doc["attempts"])),
		NeedsTimeout: c.duration(doc, "needs_timeout"),
		NeedsFailed:  text(doc["needs_failed"]),
		Needs:        texts(array(doc["needs"])),
		Labels:       labels(object(doc["labels"])),
		Traceparent:  text(doc["traceparent"]),
		Webhook:      text(doc["webhook"]),
		Keep:         c.keep(doc),
		Repeat:       c.duration(doc, "repeat"),
		RerunOf:      text(doc["rerun_of"]),
	}
	return job, c.fault
}

// time reads a time. The format of the schema allows leap seconds, and Go does not.
func (c *converter) time(doc map[string]any, name string) time.Time {
	var t time.Time
	s, ok := doc[name].(string)
	if !ok {
		return t
	}
	if err := t.UnmarshalText([]byte(s)); err != nil && c.fault == nil {
		c.fault = fault("/"+name, "must be %s, not %s", jobSchema().root.Properties[name].Title, jsondoc.Excerpt(s))
	}
	return t
}

// duration reads a duration above zero.
func (c *converter) duration(doc map[string]any, name string) jobs.Duration {
	s, ok := doc[name].(string)
	if !ok {
		return 0
	}
	var d jobs.Duration
	if err := d.UnmarshalText([]byte(s)); (err != nil || d <= 0) && c.fault == nil {
		c.fault = fault("/"+name, "must be %s, not %s", jobSchema().root.Properties[name].Title, jsondoc.Excerpt(s))
	}
	return d
}

// keep reads how long the job is kept. The schema allows its form.
func (c *converter) keep(doc map[string]any) (k jobs.Keep) {
	if doc["keep"] == nil {
		return k
	}
	text, err := json.Marshal(doc["keep"])
	if err == nil {
		err = k.UnmarshalJSON(text)
	}
	if err != nil && c.fault == nil {
		c.fault = fault("/keep", "must be %s", jobSchema().root.Properties["keep"].Title)
	}
	return k
}

func input(m map[string]any, t parsedDocument) jobs.Input {
	return jobs.Input{URL: text(m["url"]), SHA256: text(m["sha256"]), Data: t.data}
}

func files(list []any) []jobs.File {
	if list == nil {
		return nil
	}
	out := make([]jobs.File, len(list))
	for i, v := range list {
		m := object(v)
		out[i] = jobs.File{Name: text(m["name"]), URL: text(m["url"]), SHA256: text(m["sha256"]), Size: integer(m["size"])}
	}
	return out
}

func labels(m map[string]any) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = text(v)
	}
	return out
}

func priority(v any) *uint32 {
	if v == nil {
		return nil
	}
	p := uint32(integer(v))
	return &p
}

func texts(list []any) []string {
	if list == nil {
		return nil
	}
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = text(v)
	}
	return out
}

// withNeedIDs names the needed jobs by their ids.
func withNeedIDs(job jobs.Job) jobs.Job {
	for i, need := range job.Needs {
		job.Needs[i] = jobs.NeedID(need)
	}
	return job
}
