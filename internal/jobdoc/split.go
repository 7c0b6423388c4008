package jobdoc

import (
	"bytes"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/jobs"
)

// IsArray reports whether a text begins as an array of documents does.
func IsArray(body []byte) bool { return jsontext.Value(body).Kind() == jsontext.KindBeginArray }

// Split returns the elements of an array of documents, each byte for byte: from one to
// most. It checks an element no further than to find its end; [Decode] says what is wrong
// with it. The elements share the memory of body.
func Split(body []byte, most int) ([][]byte, *jobs.Fault) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	_, err := dec.ReadToken()
	var documents [][]byte
	for err == nil && dec.PeekKind() != jsontext.KindEndArray {
		switch {
		case dec.PeekKind() == jsontext.KindBeginArray:
			return nil, &jobs.Fault{Pointer: fmt.Sprintf("/%d", len(documents)), Message: "the array has another array in it"}
		case len(documents) == most:
			return nil, &jobs.Fault{Message: fmt.Sprintf("the array has more than %d documents", most)}
		}
		var value jsontext.Value
		if value, err = dec.ReadValue(); err == nil {
			end := dec.InputOffset()
			documents = append(documents, body[end-int64(len(value)):end])
		}
	}
	if err == nil {
		_, err = dec.ReadToken()
	}
	if err == nil {
		if _, err = dec.ReadToken(); err == nil {
			err = errTrailing
		}
	}
	switch {
	case err != io.EOF:
		return nil, &jobs.Fault{Syntax: true, Message: "the array of documents is not JSON: " + syntaxMessage(body, err)}
	case len(documents) == 0:
		return nil, &jobs.Fault{Message: "the array has no documents"}
	}
	return documents, nil
}
