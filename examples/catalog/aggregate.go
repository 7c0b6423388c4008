package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxShown is how many sections the result lists.
const maxShown = 12

// summary is the result of catalog-aggregate.
type summary struct {
	Source  string `json:"source"`
	Records int64  `json:"records"`
	Bad     int64  `json:"bad"`
	// GiB is the installed size of all packages.
	GiB float64 `json:"gib"`
	// Chunks were parsed; Failed are those that were not.
	Chunks        int       `json:"chunks"`
	Failed        []string  `json:"failed"`
	Workers       []worker  `json:"workers"`
	Sections      []named   `json:"sections"`
	Architectures []named   `json:"architectures"`
	Largest       []largest `json:"largest"`
	Faults        []bad     `json:"faults"`
}

type largest struct {
	Package string  `json:"package"`
	Version string  `json:"version"`
	Section string  `json:"section"`
	GiB     float64 `json:"gib"`
}

// aggregate adds up what the jobs of catalog-parse have counted. A part whose job failed is named
// in the result, and costs no more than its own records.
func aggregate(p place) error {
	var in sum
	if err := decode(p.stdin, "the input", &in); err != nil {
		return err
	}
	if len(in.Chunks) > maxParts {
		return fmt.Errorf("%w: chunks: at most %d", errData, maxParts)
	}
	total, failed, spans := newTally(), []string{}, []span{}
	for i, id := range in.Chunks {
		t, s, err := readNeed(filepath.Join(p.inputs, "needs", strconv.Itoa(i), "result.json"))
		if err != nil {
			return fmt.Errorf("chunk %s: %w", id, err)
		}
		if t == nil {
			failed = append(failed, id)
			continue
		}
		total.merge(t)
		spans = append(spans, s)
		p.tell(map[string]any{
			"progress": float64(i+1) / float64(len(in.Chunks)),
			"counters": map[string]int64{"records": total.Records, "records.bad": total.Bad},
		})
	}
	if err := p.write(total, failed, spans); err != nil {
		return err
	}
	return encode(p.stdout, summarise(in.Source, total, failed, spans))
}

// readNeed reads the result document of a job. The tally is nil if the job did not succeed or
// was deleted.
func readNeed(path string) (*tally, span, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, span{}, nil
	}
	if err != nil {
		return nil, span{}, err
	}
	defer file.Close()
	var document struct {
		State             string         `json:"state"`
		Node              string         `json:"node"`
		Started, Finished time.Time      // of the attempt that succeeded
		Result            jsontext.Value `json:"result"`
	}
	err = json.UnmarshalRead(io.LimitReader(file, maxInput), &document, json.MatchCaseInsensitiveNames(true))
	if err != nil {
		return nil, span{}, fmt.Errorf("%w: %w", errData, err)
	}
	if document.State != "succeeded" {
		return nil, span{}, nil
	}
	t := newTally()
	if err := decode(bytes.NewReader(document.Result), "the result", t); err != nil {
		return nil, span{}, err
	}
	if err := t.check(); err != nil {
		return nil, span{}, fmt.Errorf("%w: %w", errData, err)
	}
	return t, span{Worker: document.Node, Started: document.Started, Finished: document.Finished, Records: t.Records}, nil
}

// write writes the files of the result. All but throughput.svg are the same each time.
func (p place) write(total *tally, failed []string, spans []span) error {
	var text bytes.Buffer
	if err := encode(&text, map[string]any{"total": total, "failed": failed}); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"catalog.json":   text.Bytes(),
		"sections.svg":   sectionsPlot(total),
		"sizes.svg":      sizesPlot(total),
		"throughput.svg": throughputPlot(spans),
	} {
		if err := os.WriteFile(filepath.Join(p.out, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func summarise(source string, t *tally, failed []string, spans []span) summary {
	s := summary{
		Source: source, Records: t.Records, Bad: t.Bad, GiB: gib(t.KiB), Chunks: len(spans), Failed: failed,
		Workers: workers(spans), Sections: most(t.Sections, maxShown), Architectures: most(t.Architectures, maxShown), Faults: t.Faults,
	}
	for _, l := range t.Largest {
		s.Largest = append(s.Largest, largest{l.Package, l.Version, l.Section, gib(l.KiB)})
	}
	return s
}
