package main

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
)

const (
	// maxParts bounds the parts of an index: a job may make 10,000 others, and each part takes two.
	maxParts = 4_000
	// maxPart is the size of the largest part, in bytes.
	maxPart = 64 << 20
)

// index is what the server of the lists has.
type index struct {
	// Source says in words what the lists are.
	Source string `json:"source"`
	Parts  []part `json:"parts"`
}

// part is a number of whole paragraphs of one list.
type part struct {
	ID     string `json:"id"`
	URL    string `json:"url"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // in bytes
}

var (
	partID = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)
	digest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (x index) check() error {
	if len(x.Parts) == 0 || len(x.Parts) > maxParts {
		return fmt.Errorf("%w: parts: the index must have 1 to %d, and has %d", errData, maxParts, len(x.Parts))
	}
	if len(x.Source) > 200 {
		return fmt.Errorf("%w: source must have at most 200 bytes", errData)
	}
	seen := map[string]bool{}
	for i, p := range x.Parts {
		u, err := url.Parse(p.URL)
		switch {
		case !partID.MatchString(p.ID) || seen[p.ID]:
			err = fmt.Errorf("id: %.80q is no id, or there twice", p.ID)
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			err = fmt.Errorf("url: %.200q is no address of a web server", p.URL)
		case !digest.MatchString(p.SHA256):
			err = fmt.Errorf("sha256: %.80q is no digest", p.SHA256)
		case p.Size < 1 || p.Size > maxPart:
			err = fmt.Errorf("size: %d is not between 1 and %d", p.Size, maxPart)
		}
		if err != nil {
			return fmt.Errorf("%w: parts/%d/%w", errData, i, err)
		}
		seen[p.ID] = true
	}
	return nil
}

// chunk names a part among all of them. It is the input of the jobs of that part.
type chunk struct {
	ID string `json:"id"`
	Of int    `json:"of"`
}

// request asks the node for a job.
type request struct {
	Key         string         `json:"key"`
	Program     string         `json:"program"`
	Input       map[string]any `json:"input"`
	Files       []file         `json:"files,omitempty"`
	Needs       []string       `json:"needs,omitempty"`
	NeedsFailed string         `json:"needs_failed,omitempty"`
	Labels      map[string]any `json:"labels,omitempty"`
}

type file struct {
	Name   string `json:"name"`
	URL    string `json:"url"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// sum is the input of catalog-aggregate.
type sum struct {
	Source string `json:"source"`
	// Chunks are the ids of the parts, in the order of the needed jobs.
	Chunks []string `json:"chunks"`
}

// plan makes the jobs for all parts of the index in its input. An attempt that is run again asks
// for the same keys, and makes the same jobs.
func plan(p place) error {
	var x index
	if err := decode(p.stdin, "the index", &x); err != nil {
		return err
	}
	if err := x.check(); err != nil {
		return err
	}
	last := request{Key: "aggregate", Program: "catalog-aggregate", NeedsFailed: "run"}
	all := sum{Source: x.Source}
	for i, part := range x.Parts {
		n := strconv.Itoa(i)
		c := map[string]any{"data": chunk{ID: part.ID, Of: len(x.Parts)}}
		labels := map[string]any{"chunk": part.ID}
		p.tell(map[string]any{"enqueue": request{
			Key: "fetch " + n, Program: "catalog-fetch", Input: c, Labels: labels,
			Files: []file{{Name: "packages", URL: part.URL, SHA256: part.SHA256, Size: part.Size}},
		}})
		p.tell(map[string]any{
			"progress": float64(i+1) / float64(len(x.Parts)),
			"enqueue":  request{Key: "parse " + n, Program: "catalog-parse", Input: c, Labels: labels, Needs: []string{"key:fetch " + n}},
		})
		last.Needs, all.Chunks = append(last.Needs, "key:parse "+n), append(all.Chunks, part.ID)
	}
	last.Input = map[string]any{"data": all}
	p.tell(map[string]any{"enqueue": last})
	return encode(p.stdout, map[string]any{"source": x.Source, "parts": len(x.Parts)})
}
