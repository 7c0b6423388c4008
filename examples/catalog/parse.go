package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// between is how many paragraphs lie between two events.
const between = 500

// parse reads the records of one part.
func parse(p place) error {
	var c chunk
	if err := decode(p.stdin, "the input", &c); err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(p.inputs, "needs", "0", "files", "packages"))
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	t, err := p.parseAll(c, file, info.Size())
	if err != nil {
		return err
	}
	return encode(p.stdout, t)
}

// position counts the bytes that were read.
type position struct {
	io.Reader
	n int64
}

func (p *position) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.n += int64(n)
	return n, err
}

// parseAll counts the paragraphs of a part of size bytes.
func (p place) parseAll(c chunk, from io.Reader, size int64) (*tally, error) {
	at := &position{Reader: from}
	in, t := newReader(at), newTally()
	p.tell(map[string]any{"chunk": c})
	for n := 1; ; n++ {
		para, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if r, err := newRecord(para); err != nil {
			t.addBad(bad{Chunk: c.ID, Line: para.Line, Fault: err.Error()})
		} else {
			t.add(r)
		}
		if n%between == 0 {
			p.count(c, t, float64(at.n)/float64(max(size, at.n)))
		}
	}
	p.count(c, t, 1)
	return t, nil
}

// count tells how many records there are so far in this attempt.
func (p place) count(c chunk, t *tally, progress float64) {
	p.tell(map[string]any{
		"progress": progress, "chunk": c,
		"counters": map[string]int64{"records": t.Records, "records.bad": t.Bad},
	})
}
