package publisher

import (
	"net/url"
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
	// maxImageBytes is the size of a file beyond which it is not shown as an image.
	maxImageBytes = 32 << 20
	// shortOutput is how many bytes of JSON are shown as they are, without a tree.
	shortOutput = 600
)

// outputView is what a program has made, as every page about a job shows it.
type outputView struct {
	Heading string
	Plots   []chart.TimeSeries
	Figures []fact // scalars of the result, counters of the program
	Images  []imageView
	Grids   []jsonvalue.Table
	Tree    *jsonvalue.Tree
	Folded  bool   // the tree repeats what stands above it
	Output  string // a short result as it is, or the beginning of a long one
	// TooBig says that the result is not shown, or not all of it.
	TooBig string
}

// imageView is a file that is shown.
type imageView struct{ Name, URL, Note string }

// imageTypes are files that a browser shows as images, in which nothing runs.
var imageTypes = map[string]bool{
	".png": true, ".jpg": true, ".jpeg": true, ".gif": true, ".webp": true, ".avif": true, ".svg": true,
}

func (v *outputView) output(r jobs.Result) {
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

// rest shows what is neither a plot nor a figure.
func (v *outputView) rest(value []byte) {
	v.Folded = len(v.Plots)+len(v.Grids) > 0
	if !v.Folded && len(value) <= shortOutput {
		v.Output, _ = jsonvalue.Pretty(value, maxOutputShown)
		return
	}
	if v.Tree = jsonvalue.TreeOf(value); v.Tree != nil || v.Folded {
		return
	}
	var cut bool
	if v.Output, cut = jsonvalue.Pretty(value, maxOutputShown); cut {
		v.TooBig = "This is the beginning of " + text.Bytes(int64(len(value))) + "."
	}
}

// images are the files that can be shown. They are asked for below the page's
// own address, which its policy allows.
func (v *outputView) images(r jobs.Result, base, query string) {
	if base == "" {
		return
	}
	for _, a := range r.Artifacts {
		if len(v.Images) == maxImages {
			return
		}
		if !imageTypes[strings.ToLower(path.Ext(a.Name))] || a.Size > maxImageBytes {
			continue
		}
		to := text.Link(httpio.AddQuery(base+escapePath(a.Name), query))
		v.Images = append(v.Images, imageView{Name: text.Line(a.Name, 200), URL: to, Note: text.Bytes(a.Size)})
	}
}

// escapePath writes the name of a file as the rest of a path.
func escapePath(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// Any reports whether there is anything to show.
func (v *outputView) Any() bool {
	return len(v.Plots)+len(v.Figures)+len(v.Grids)+len(v.Images) > 0 || v.Tree != nil || v.Output != "" || v.TooBig != ""
}
