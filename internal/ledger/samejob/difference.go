// Package samejob compares a document whose id is known with the first one of that id: a
// client that has lost an answer puts its job again, perhaps from another process.
package samejob

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxPointer is the length of the longest pointer that Difference returns, in bytes.
const maxPointer = 512

// Difference returns the JSON pointer of the first member in which two documents ask for
// different jobs, in the order of the members' names. same is true if there is none.
//
// The time of creation, the trace, the order of members and of needs, white space, and how
// a value is written that is not part of the input make no difference. Neither do two
// URLs of the result that the pool serves both. A document with a fault is the same as
// no other one, and its pointer is empty.
func Difference(first, again []byte, served func(url string) (bool, error)) (pointer string, same bool, err error) {
	a, faultA := jobdoc.Decode(first)
	b, faultB := jobdoc.Decode(again)
	if faultA != nil || faultB != nil {
		return "", false, nil
	}
	if err := alignResult(&a, &b, served); err != nil {
		return "", false, err
	}
	align(&a, &b)
	x, err := canonical(a)
	if err != nil {
		return "", false, err
	}
	y, err := canonical(b)
	if err != nil {
		return "", false, err
	}
	if bytes.Equal(x, y) {
		return "", true, nil
	}
	return firstDifference(x, y), false, nil
}

// alignResult makes the URLs of the result equal if the pool serves both.
func alignResult(a, b *jobs.Job, served func(url string) (bool, error)) error {
	if a.Result == b.Result {
		return nil
	}
	for _, url := range []string{a.Result.URL, b.Result.URL} {
		if own, err := served(url); err != nil || !own {
			return err
		}
	}
	b.Result = a.Result
	return nil
}

// align makes values equal that mean the same.
func align(a, b *jobs.Job) {
	for _, j := range []*jobs.Job{a, b} {
		j.Created, j.Traceparent = time.Time{}, ""
		j.NotBefore, j.Expires = j.NotBefore.UTC(), j.Expires.UTC()
		j.Needs = slices.Sorted(slices.Values(j.Needs))
		j.NeedsFailed = cmp.Or(j.NeedsFailed, jobs.NeedsFail)
		priority := j.EffectivePriority()
		j.Priority = &priority
	}
}

// canonical writes a job with the members of all objects in order. Numbers stay as they
// are written, because a program may tell 1.0 from 1 and reads more digits than a float
// has.
func canonical(j jobs.Job) (jsontext.Value, error) {
	text, err := json.Marshal(j)
	v := jsontext.Value(text)
	if err == nil {
		err = v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
	}
	if err != nil {
		return nil, fmt.Errorf("job %s cannot be compared: %w", j.ID, err)
	}
	return v, nil
}

// firstDifference returns where two canonical texts differ.
func firstDifference(x, y jsontext.Value) string {
	a, b := jsontext.NewDecoder(bytes.NewReader(x)), jsontext.NewDecoder(bytes.NewReader(y))
	for {
		s, errA := a.ReadToken()
		t, errB := b.ReadToken()
		if errA != nil || errB != nil {
			return "" // not for two texts that differ
		}
		if s.Kind() == t.Kind() && s.String() == t.String() {
			continue
		}
		at := a
		if isEnd(s) || !isEnd(t) && isName(b) && t.String() < s.String() {
			at = b // only b has this member or element
		}
		return bounded(string(at.StackPointer()))
	}
}

func isEnd(t jsontext.Token) bool {
	return t.Kind() == jsontext.KindEndObject || t.Kind() == jsontext.KindEndArray
}

// isName reports whether the token that was read last is the name of a member.
func isName(d *jsontext.Decoder) bool {
	in, n := d.StackIndex(d.StackDepth())
	return in == jsontext.KindBeginObject && n%2 == 1
}

// bounded returns a pointer, or that of the innermost value around it whose pointer is
// short enough.
func bounded(pointer string) string {
	for len(pointer) > maxPointer {
		pointer = pointer[:strings.LastIndexByte(pointer, '/')]
	}
	return pointer
}
