package jobs

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/inputurl"
	"github.com/runnerbean/runnerbean/internal/jsondoc"
)

// template is the job of a batch, ready to be filled with the values of frames.
type template struct {
	job   *Job
	data  []piece   // of Input.Data; nil if there is none
	url   []piece   // of Input.URL
	files [][]piece // of the URLs of Files
	at    []string  // pointers of files
	names []valueName
	// of are the files that URLs may name.
	of Package
}

// valueName is the name of a value in a template, and where it stands first.
type valueName struct{ pointer, name string }

// piece is a part of a text: either literal characters or a value of the frame.
type piece struct {
	literal string
	name    string // of the value; empty for a literal
	digits  int    // of the number of the frame
	quoted  bool   // the value stands in a JSON text: its characters are escaped
	whole   bool   // the value is JSON of its own
}

func newTemplate(job *Job, of Package) (*template, *Fault) {
	t := &template{job: job, of: of}
	var f *Fault
	if f = job.Input.dataFault(); f != nil {
		return nil, f
	}
	if job.Input.Data != nil {
		if t.data, f = dataPieces(job.Input.Data); f != nil {
			return nil, f
		}
	}
	if t.url, f = textPieces("/input/url", job.Input.URL); f != nil {
		return nil, f
	}
	for i := range job.Files {
		at := jsondoc.Element("/files", i) + "/url"
		pieces, f := textPieces(at, job.Files[i].URL)
		if f != nil {
			return nil, f
		}
		t.files, t.at = append(t.files, pieces), append(t.at, at)
	}
	seen := map[string]bool{frameNumber: true, "": true}
	note := func(pointer string, pieces []piece) {
		for i := range pieces {
			if name := pieces[i].name; !seen[name] {
				seen[name] = true
				t.names = append(t.names, valueName{pointer, name})
			}
		}
	}
	note("/input/data", t.data)
	note("/input/url", t.url)
	for i := range t.files {
		note(t.at[i], t.files[i])
	}
	return t, nil
}

// fill sets job to the one of a frame, without its id.
func (t *template) fill(frame *Frame, job *Job) *Fault {
	*job = *t.job
	var f *Fault
	switch {
	case t.data != nil:
		var text string
		text, f = expand(t.data, frame, "/input/data")
		job.Input.Data = json.RawMessage(text)
	case job.Input.URL == "":
		job.Input.Data, f = frameValues(frame)
	default:
		job.Input.URL, f = t.address(t.url, frame, "/input/url")
	}
	if f != nil {
		return f
	}
	job.Files = slices.Clone(t.job.Files)
	for i := range job.Files {
		if job.Files[i].URL, f = t.address(t.files[i], frame, t.at[i]); f != nil {
			return f
		}
	}
	return nil
}

// address returns a URL in a frame.
func (t *template) address(pieces []piece, frame *Frame, pointer string) (string, *Fault) {
	url, f := expand(pieces, frame, pointer)
	if f != nil {
		return "", f
	}
	return t.of.resolve(url, pointer)
}

// named calls look with each URL that names a file of the package.
func (t *template) named(look func(pieces []piece, pointer string) *Fault) *Fault {
	packaged := func(pieces []piece) bool { _, ok := inputurl.Packaged(pieces[0].literal); return ok }
	if packaged(t.url) {
		if f := look(t.url, "/input/url"); f != nil {
			return f
		}
	}
	for i, pieces := range t.files {
		if packaged(pieces) {
			if f := look(pieces, t.at[i]); f != nil {
				return f
			}
		}
	}
	return nil
}

// checkPackage checks that the package has what the frame names. checkWork has looked at the
// URLs that are the same in all frames.
func (t *template) checkPackage(frame *Frame) *Fault {
	return t.named(func(pieces []piece, pointer string) *Fault {
		if len(pieces) == 1 {
			return nil
		}
		_, f := t.address(pieces, frame, pointer)
		return f
	})
}

// checkWork checks the URLs that name the same file of the package in all frames, and bounds
// the number of the others in all frames together.
func (t *template) checkWork(frames int) *Fault {
	different := 0
	return t.named(func(pieces []piece, pointer string) *Fault {
		if len(pieces) == 1 {
			_, f := t.of.resolve(pieces[0].literal, pointer)
			return f
		}
		if different += frames; different > maxPackageURLs {
			return newFault(pointer, "is one of more than %d names of files in all frames: split the batch, or give frames fewer files of their own", maxPackageURLs)
		}
		return nil
	})
}

// checkNames checks that the frame has a value for each name.
func (t *template) checkNames(frame *Frame) *Fault {
	for _, name := range t.names {
		if _, ok := frame.Values[name.name]; !ok {
			return noValue(name.pointer, name.name)
		}
	}
	return nil
}

// frameValues returns the input of a frame of a batch without one.
func frameValues(frame *Frame) (json.RawMessage, *Fault) {
	out := []byte(`{"frame":` + strconv.Itoa(frame.Number))
	for _, name := range slices.Sorted(maps.Keys(frame.Values)) {
		if !jsontext.Value(frame.Values[name]).IsValid() {
			return nil, notJSON("/input/data", name)
		}
		out = append(append(out, `,"`+name+`":`...), frame.Values[name]...)
	}
	return append(out, '}'), nil
}

func noValue(pointer, name string) *Fault {
	return newFault(pointer, "has ${%s}, which is no value of the frame; write $${ for the characters ${", name)
}

func notJSON(pointer, name string) *Fault {
	return newFault(pointer, "has the value %s, which is not JSON", name)
}

// expand writes the pieces with the values of a frame.
func expand(pieces []piece, frame *Frame, pointer string) (string, *Fault) {
	if len(pieces) == 1 && pieces[0].name == "" {
		return pieces[0].literal, nil
	}
	var b strings.Builder
	for i := range pieces {
		p := &pieces[i]
		if p.name == "" {
			b.WriteString(p.literal)
			continue
		}
		text, f := p.value(frame, pointer)
		if f != nil {
			return "", f
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// value returns the value of a piece.
func (p *piece) value(frame *Frame, pointer string) (string, *Fault) {
	if p.name == frameNumber {
		digits := strconv.Itoa(frame.Number)
		return strings.Repeat("0", max(0, p.digits-len(digits))) + digits, nil
	}
	value, ok := frame.Values[p.name]
	if !ok {
		return "", noValue(pointer, p.name)
	}
	if !jsontext.Value(value).IsValid() {
		return "", notJSON(pointer, p.name)
	}
	if p.whole {
		return string(value), nil
	}
	text := string(value)
	if jsontext.Value(value).Kind() == '"' {
		if jsonv2.Unmarshal(value, &text) != nil {
			return "", notJSON(pointer, p.name)
		}
	}
	if p.quoted {
		return inQuotes(text), nil
	}
	return text, nil
}

// inQuotes returns a text as it stands between the quotes of JSON.
func inQuotes(text string) string {
	quoted, _ := jsontext.AppendQuote(nil, text) // it replaces what is not UTF-8
	return string(quoted[1 : len(quoted)-1])
}

// dataPieces splits JSON at the values in its texts. Names of members have none.
func dataPieces(data json.RawMessage) (pieces []piece, f *Fault) {
	if !jsontext.Value(data).IsValid() {
		return nil, newFault("/input/data", "must be one JSON value")
	}
	d := jsontext.NewDecoder(bytes.NewReader(data))
	done := int64(0) // up to there data is in pieces
	for d.PeekKind() > 0 {
		kind, length := d.StackIndex(d.StackDepth())
		isName := kind == '{' && length%2 == 0
		if d.PeekKind() != '"' || isName {
			if _, err := d.ReadToken(); err != nil {
				return nil, newFault("/input/data", "cannot be read: %s", err)
			}
			continue
		}
		raw, err := d.ReadValue()
		if err != nil {
			return nil, newFault("/input/data", "cannot be read: %s", err)
		}
		text, _ := jsontext.AppendUnquote(nil, raw)
		inside, f := textPieces("/input/data"+string(d.StackPointer()), string(text))
		if f != nil {
			return nil, f
		}
		if len(inside) == 1 && inside[0].name == "" && inside[0].literal == string(text) {
			continue
		}
		pieces = append(pieces, piece{literal: string(data[done : d.InputOffset()-int64(len(raw))])})
		pieces, done = append(pieces, quote(inside)...), d.InputOffset()
	}
	return append(pieces, piece{literal: string(data[done:])}), nil
}

// quote turns the pieces of a text into those of its JSON.
func quote(inside []piece) []piece {
	if len(inside) == 1 && inside[0].name != "" && inside[0].digits == 0 {
		inside[0].whole = true
		return inside
	}
	out := []piece{{literal: `"`}}
	for _, p := range inside {
		p.quoted = true
		p.literal = inQuotes(p.literal)
		out = append(out, p)
	}
	return append(out, piece{literal: `"`})
}

// textPieces splits a text at the values in it.
func textPieces(pointer, text string) (pieces []piece, f *Fault) {
	literal := ""
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			return append(pieces, piece{literal: literal + text}), nil
		}
		if escaped, ok := strings.CutSuffix(before, "$"); ok {
			literal, text = literal+escaped+"${", rest
			continue
		}
		expression, after, closed := strings.Cut(rest, "}")
		name, digitsText, wide := strings.Cut(expression, ":")
		digits := 0
		if wide {
			n, err := strconv.ParseUint(digitsText, 10, 5)
			if err != nil || n == 0 || name != frameNumber {
				return nil, newFault(pointer, "has ${%.100s}: write ${frame:4} for a number with at least 4 digits, up to 31", expression)
			}
			digits = int(n)
		}
		if !closed || !validValueName(name) {
			return nil, newFault(pointer, "has a ${ without the name of a value and }; write $${ for the characters ${")
		}
		if literal+before != "" {
			pieces = append(pieces, piece{literal: literal + before})
		}
		pieces, literal, text = append(pieces, piece{name: name, digits: digits}), "", after
		if text == "" {
			return pieces, nil
		}
	}
}
