package jsonvalue

import (
	"bytes"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Each calls f for each member of an object, or for each element of an array
// with an empty name. It stops where the JSON is broken. The values share the
// memory of raw.
func Each(raw []byte, f func(name string, value []byte)) {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadToken(); err != nil {
		return
	}
	for d.PeekKind() != ']' && d.PeekKind() != '}' {
		name := ""
		if raw[0] == '{' {
			token, err := d.ReadToken()
			if err != nil {
				return
			}
			name = token.String()
		}
		value, err := d.ReadValue()
		if err != nil {
			return
		}
		f(name, raw[int(d.InputOffset())-len(value):d.InputOffset()])
	}
}

// MaxNumber is the largest magnitude of a number, so that the difference of two
// numbers is finite.
const MaxNumber = 1e300

// maxMembers is how many members of an object are read.
const maxMembers = 64

type Member struct {
	Name  string
	Value []byte
}

// Members lists the members of a JSON object in their order; anything else
// has none. The values share raw's memory.
func Members(raw []byte) []Member {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if d.PeekKind() != '{' {
		return nil
	}
	if _, err := d.ReadToken(); err != nil {
		return nil
	}
	var list []Member
	for d.PeekKind() == '"' && len(list) < maxMembers {
		name, err := d.ReadToken()
		if err != nil {
			return nil
		}
		m := Member{Name: name.String()}
		value, err := d.ReadValue()
		if err != nil {
			return nil
		}
		end := int(d.InputOffset())
		m.Value = raw[end-len(value) : end]
		list = append(list, m)
	}
	return list
}

// Elements splits an array of scalars. raw is valid JSON, so a comma outside
// a string ends an element; an array or object within counts as a fault.
func Elements(raw []byte) ([][]byte, bool) {
	if len(raw) < 2 || raw[0] != '[' {
		return nil, false
	}
	body := bytes.TrimSpace(raw[1 : len(raw)-1])
	if len(body) == 0 {
		return nil, true
	}
	list := make([][]byte, 0, bytes.Count(body, []byte(","))+1)
	from, inside := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			inside = !inside
		case inside && c == '\\':
			i++
		case inside:
		case c == '[' || c == '{':
			return nil, false
		case c == ',':
			list = append(list, bytes.TrimSpace(body[from:i]))
			from = i + 1
		}
	}
	return append(list, bytes.TrimSpace(body[from:])), true
}

func Number(raw []byte) (float64, bool) {
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	return v, err == nil && math.Abs(v) <= MaxNumber
}

func String(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	s, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return ""
	}
	return string(s)
}
