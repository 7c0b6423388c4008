package jobview

import (
	"path"
	"strings"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jsonvalue"
)

const (
	maxImages = 24
	// maxOutputShown is how many bytes of a result are shown as text.
	maxOutputShown = 16 << 10
	// maxImageBytes is the size up to which a file is shown as an image.
	maxImageBytes = 32 << 20
	// shortOutput is the size in bytes up to which JSON is shown as text, without a
	// tree.
	shortOutput = 600
)

// Output is the view of what a program has produced.
type Output struct {
	Heading string
	Plots   []chart.TimeSeries
	Figures []Fact // counters of the program and scalars of the result
	Images  []Image
	Grids   []jsonvalue.Table
	Tree    *jsonvalue.Tree
	Folded  bool   // whether the tree is closed at first, since charts or tables show the same
	Text    string // a short result as text, or the beginning of a long one
	// TooBig says that the result is not shown in full.
	TooBig string
}

// Image is a file that is shown as an image, or played as a film.
type Image struct {
	Name, URL, Note string
	Film            bool
}

// imageTypes are the suffixes of files that browsers show as images without
// running anything in them.
var imageTypes = map[string]bool{
	".png": true, ".jpg": true, ".jpeg": true, ".gif": true, ".webp": true, ".avif": true, ".svg": true,
}

// filmTypes are the suffixes of files that browsers play.
var filmTypes = map[string]bool{".webm": true, ".mp4": true, ".ogv": true}

// output fills v from the result of a job, or from what it has so far.
func (v *Output) output(r jobs.Result) {
	value := r.Result
	switch {
	case len(r.Result) > 0:
		v.Heading = "Result"
	case len(r.Partial) > 0:
		value, v.Heading = r.Partial, "Result so far"
	case r.State == jobs.Succeeded:
		v.Heading = "Result"
	default:
		v.Heading = "Counted"
	}
	v.Plots = chart.OfResult(value)
	more := figures(value)
	v.Figures = append(counters(r.Counters), more.facts...)
	if v.Grids = jsonvalue.Tables(value); more.rest && len(value) > 0 {
		v.rest(value)
	}
}

// rest adds the values that are neither in a chart nor figures.
func (v *Output) rest(value []byte) {
	v.Folded = len(v.Plots)+len(v.Grids) > 0
	if !v.Folded && len(value) <= shortOutput {
		v.Text, _ = jsonvalue.Pretty(value, maxOutputShown)
		return
	}
	if v.Tree = jsonvalue.TreeOf(value); v.Tree != nil || v.Folded {
		return
	}
	var cut bool
	if v.Text, cut = jsonvalue.Pretty(value, maxOutputShown); cut {
		v.TooBig = "This is the beginning of " + text.Bytes(int64(len(value))) + "."
	}
}

// images adds the files that can be shown. Their links are below the address of
// the page, which its policy allows.
func (v *Output) images(r jobs.Result, base, query string) {
	if base == "" {
		return
	}
	for _, a := range r.Artifacts {
		if len(v.Images) == maxImages {
			return
		}
		suffix := strings.ToLower(path.Ext(a.Name))
		film := filmTypes[suffix] // a browser reads no more of it than it plays
		if !film && (!imageTypes[suffix] || a.Size > maxImageBytes) {
			continue
		}
		to := text.Link(httpio.AddQuery(base+EscapePath(a.Name), query))
		v.Images = append(v.Images, Image{Name: text.Line(a.Name, 200), URL: to, Note: text.Bytes(a.Size), Film: film})
	}
}

// Any reports whether there is anything to show.
func (v *Output) Any() bool {
	return len(v.Plots)+len(v.Figures)+len(v.Grids)+len(v.Images) > 0 || v.Tree != nil || v.Text != "" || v.TooBig != ""
}

// maxThumbnailBytes is the size up to which a file is shown among many others.
const maxThumbnailBytes = 4 << 20

// Thumbnail returns the name of the first file that can stand for a job as an image, or "".
func Thumbnail(files []jobs.Artifact) string {
	for _, a := range files {
		if imageTypes[strings.ToLower(path.Ext(a.Name))] && a.Size <= maxThumbnailBytes {
			return a.Name
		}
	}
	return ""
}
