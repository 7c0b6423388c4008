// Package batch makes the documents of many jobs from flags: one for each number of a range,
// each line of a file, or each combination of parameters.
package batch

import (
	"archive/tar"
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/runnerbean/runnerbean/internal/batchtar"
	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// Flags choose the frames of a batch.
type Flags struct {
	array, lines, id string
	matrix           []string
}

// Add adds the flags to a command.
func (f *Flags) Add(flags *pflag.FlagSet) {
	flags.StringVar(&f.array, "array", "", "a job for each number, such as 1-100, 1-1000:10 or 1,5,20-30")
	flags.StringVar(&f.lines, "each-line", "", "a job for each line of a file, as ${line}; - reads standard input")
	flags.StringArrayVar(&f.matrix, "matrix", nil, "a parameter and its values, such as a=1,2,3; repeated: a job for each combination")
	flags.StringVar(&f.id, "batch", "", "id of the batch, to submit the same one again: jobs that are known are not made twice")
}

// Given reports whether a batch is wanted.
func (f *Flags) Given() bool { return f.array != "" || f.lines != "" || len(f.matrix) > 0 }

// Read returns the batch of a job. open opens the file with lines.
func (f *Flags) Read(job jobs.Job, open func(name string) (io.ReadCloser, error)) (b jobs.Batch, err error) {
	b = jobs.Batch{ID: f.id, Job: job}
	switch {
	case f.array != "" && f.lines == "" && len(f.matrix) == 0:
		if b.Frames, err = jobs.ParseFrames(f.array); err != nil {
			err = fmt.Errorf("--array: %w", err)
		}
	case f.array == "" && f.lines != "" && len(f.matrix) == 0:
		b.Frames, err = readLines(f.lines, open)
	case f.array == "" && f.lines == "":
		b.Matrix, err = readMatrix(f.matrix)
	default:
		err = errors.New("give one of --array, --each-line and --matrix")
	}
	return b, err
}

// readLines returns a frame for each line that is not empty, numbered as in the file from 1.
func readLines(name string, open func(string) (io.ReadCloser, error)) (frames []jobs.Frame, err error) {
	file, err := open(name)
	if err != nil {
		return nil, fmt.Errorf("--each-line: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, jobs.MaxDocument)
	for number := 1; lines.Scan(); number++ {
		switch {
		case len(lines.Bytes()) == 0:
			continue
		case len(frames) == jobs.MaxFrames:
			return nil, fmt.Errorf("--each-line: %s has more than %d lines", name, jobs.MaxFrames)
		case !utf8.Valid(lines.Bytes()):
			return nil, fmt.Errorf("--each-line: line %d of %s is not UTF-8", number, name)
		}
		text, err := json.Marshal(lines.Text())
		if err != nil {
			return nil, err
		}
		frames = append(frames, jobs.Frame{Number: number, Values: map[string]json.RawMessage{"line": text}})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--each-line: %s: %w", name, err)
	}
	if len(frames) == 0 {
		return nil, fmt.Errorf("--each-line: %s has no lines", name)
	}
	return frames, nil
}

// readMatrix returns parameters such as a=1,x. Values that are not JSON are texts.
func readMatrix(list []string) (parameters []jobs.Parameter, err error) {
	seen := map[string]bool{}
	for _, text := range list {
		name, values, ok := strings.Cut(text, "=")
		if !ok || name == "" || values == "" {
			return nil, fmt.Errorf("--matrix %s: write a name and values, such as a=1,2,3", text)
		}
		if seen[name] {
			return nil, fmt.Errorf("--matrix %s: %s is given twice", text, name)
		}
		seen[name] = true
		p := jobs.Parameter{Name: name}
		for value := range strings.SplitSeq(values, ",") {
			encoded := []byte(value)
			if !json.Valid(encoded) {
				var err error
				if encoded, err = json.Marshal(value); err != nil {
					return nil, err
				}
			}
			p.Values = append(p.Values, encoded)
		}
		parameters = append(parameters, p)
	}
	return parameters, nil
}

// framesFile is the file of a package that has the frames of a large batch.
const framesFile = "frames.json"

// Document returns the document of a batch, without a result URL, which the node fills in. If
// it is too large for one document, it is that of a package: frames is then its file
// frames.json.
func Document(b *jobs.Batch) (document, frames []byte, err error) {
	whole, err := b.Document()
	if err != nil {
		return nil, nil, err
	}
	if document, err = withoutResult(whole); err != nil || len(document)+resultRoom <= jobs.MaxDocument {
		return document, nil, err
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(document, &members); err != nil {
		return nil, nil, err
	}
	delete(members, "program")
	delete(members, "input")
	if err := json.Unmarshal(whole.Input.Data, &members); err != nil {
		return nil, nil, err
	}
	frames, members["frames"] = members["frames"], json.RawMessage(`"package:`+framesFile+`"`)
	if frames == nil || len(frames) > jobdoc.MaxFrames {
		return nil, nil, fmt.Errorf("the batch is larger than %s: split it", bytesize.Size(jobdoc.MaxFrames))
	}
	document, err = json.Marshal(members)
	return document, frames, err
}

// WriteTar writes the package of a document and its frames.
func WriteTar(w io.Writer, document, frames []byte) error {
	out := tar.NewWriter(w)
	for _, file := range []struct {
		name string
		text []byte
	}{{batchtar.Document, document}, {framesFile, frames}} {
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file.name, Mode: 0o644, Size: int64(len(file.text))}); err != nil {
			return err
		}
		if _, err := out.Write(file.text); err != nil {
			return err
		}
	}
	return out.Close()
}

// resultRoom is left in a document for the result URL.
const resultRoom = 4096

func withoutResult(job jobs.Job) ([]byte, error) {
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	delete(members, "result")
	return json.Marshal(members)
}

// Whole returns the job document of a batch that is written in one object. Any other document
// stays as it is.
func Whole(document []byte) ([]byte, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(document, &members) != nil || members["job"] == nil || members["program"] != nil {
		return document, nil
	}
	return jobdoc.BatchDocument(document)
}
