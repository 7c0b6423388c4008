package jobview

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// notKept says which files were not kept, and why.
func notKept(list []jobs.LeftOut) string {
	const most = 10
	var words []string
	for _, l := range list[:min(len(list), most)] {
		if l.Name == "" {
			words = append(words, text.Line(l.Reason, 200))
			continue
		}
		words = append(words, text.Line(l.Name, 200)+" ("+text.Line(l.Reason, 200)+")")
	}
	if more := len(list) - most; more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	if len(words) == 0 {
		return ""
	}
	return "Not kept: " + strings.Join(words, "; ") + "."
}

// EscapePath escapes the name of a file for a URL, and keeps its slashes.
func EscapePath(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// File is an artifact or an input. URL is empty where there is no link.
type File struct {
	Name, URL, Size, SHA256, Note string
}

// artifacts returns the files of a job. With base, their links are below the
// address of the page, so that its signature opens them too.
func artifacts(files []jobs.Artifact, base, query string) []File {
	var list []File
	for _, a := range files[:min(len(files), MaxRows)] {
		to := a.URL
		if base != "" {
			to = httpio.AddQuery(base+EscapePath(a.Name), query)
		}
		list = append(list, File{Name: text.Line(a.Name, 200), URL: text.Link(to), Size: text.Bytes(a.Size), SHA256: text.Line(a.SHA256, 64)})
	}
	return list
}

// inputs returns the inputs that a job has read.
func inputs(r jobs.Result) []File {
	if r.Provenance == nil {
		return nil
	}
	var list []File
	all := r.Provenance.Inputs
	for _, s := range all[:min(len(all), MaxRows)] {
		f := File{Name: text.Line(s.Name, 200), URL: text.Link(s.URL), Size: text.Bytes(s.Size), SHA256: text.Line(s.SHA256, 64)}
		if f.Name == "" {
			f.Name = "input"
		}
		f.Note = text.Line(s.URL, 200)
		list = append(list, f)
	}
	return list
}
