package inputform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Prefix is the prefix of the names of the form's fields.
const Prefix = "input"

// Read returns the input from a posted form. It keeps the values in the fields, so that
// the form can be shown again, and sets their Error. ok is false where one has an
// Error.
func (f *Field) Read(posted url.Values) (input json.RawMessage, ok bool) {
	var out bytes.Buffer
	ok = true
	if !f.read(posted, &out, &ok) {
		if f.Kind == Group {
			return json.RawMessage("{}"), ok
		}
		f.Error = "is needed"
		return nil, false
	}
	return out.Bytes(), ok
}

// read writes the value of a field, and reports whether there is one.
func (f *Field) read(posted url.Values, out *bytes.Buffer, ok *bool) bool {
	if f.Kind == Group {
		return f.readGroup(posted, out, ok)
	}
	f.Value = posted.Get(Prefix + f.Name)
	if f.Kind == Switch {
		return f.readSwitch(out)
	}
	if strings.TrimSpace(f.Value) == "" {
		if f.Required {
			f.Error, *ok = "is needed", false
		}
		return false
	}
	text, err := f.parse(f.Value)
	if err != "" {
		f.Error, *ok = err, false
		return false
	}
	out.Write(text)
	return true
}

// readGroup writes an object with the values of its fields. It leaves out an optional
// group that is empty.
func (f *Field) readGroup(posted url.Values, out *bytes.Buffer, ok *bool) bool {
	var members bytes.Buffer
	n, fine := 0, true
	for _, m := range f.Fields {
		var value bytes.Buffer
		if !m.read(posted, &value, &fine) {
			continue
		}
		if n > 0 {
			members.WriteByte(',')
		}
		name, _ := json.Marshal(last(m.Name))
		members.Write(name)
		members.WriteByte(':')
		members.Write(value.Bytes())
		n++
	}
	if !f.Required && f.Name != "" && !f.filled() {
		f.forgive()
		return false
	}
	*ok = *ok && fine
	fmt.Fprintf(out, "{%s}", members.Bytes())
	return true
}

// filled reports whether a person has entered anything in a group.
func (f *Field) filled() bool {
	for _, m := range f.Fields {
		if strings.TrimSpace(m.Value) != "" || m.filled() {
			return true
		}
	}
	return false
}

// forgive removes the errors of a group that is left out.
func (f *Field) forgive() {
	f.Error = ""
	for _, m := range f.Fields {
		m.forgive()
	}
}

// last returns the last name of a JSON pointer.
func last(pointer string) string {
	name := pointer[strings.LastIndexByte(pointer, '/')+1:]
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
}

// readSwitch writes true for a ticked box. It leaves out an optional one that is not
// ticked.
func (f *Field) readSwitch(out *bytes.Buffer) bool {
	on := f.Value != ""
	f.Value = ""
	if on {
		f.Value = "true"
	}
	if !on && !f.Required {
		return false
	}
	out.WriteString(strconv.FormatBool(on))
	return true
}

// parse returns a value as JSON, or says what is wrong with it.
func (f *Field) parse(text string) (value []byte, fault string) {
	switch f.Kind {
	case Text, Long:
		value, _ = json.Marshal(text)
	case Time:
		value, _ = json.Marshal(strings.TrimSpace(text))
	case Number:
		return number(text, f.Whole)
	case Choice:
		return f.option(text)
	case List:
		return f.items(text)
	default:
		text = strings.TrimSpace(text)
		if !json.Valid([]byte(text)) {
			return nil, "is no JSON: " + syntax(text)
		}
		value = []byte(text)
	}
	return value, ""
}

func syntax(text string) string {
	var v json.RawMessage
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return err.Error()
	}
	return ""
}

// number returns a number with its digits as they were entered.
func number(text string, whole bool) (value []byte, fault string) {
	text = strings.TrimSpace(text)
	if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
		return nil, fmt.Sprintf("%.40q is no number", text)
	}
	if _, err := strconv.ParseInt(text, 10, 64); whole && err != nil {
		return nil, fmt.Sprintf("%.40q is no whole number", text)
	}
	return []byte(text), ""
}

func (f *Field) option(text string) (value []byte, fault string) {
	for _, o := range f.Options {
		if o == text {
			return []byte(o), ""
		}
	}
	return nil, "is none of the choices"
}

// items reads values that are separated by commas and line ends.
func (f *Field) items(text string) (value []byte, fault string) {
	var out bytes.Buffer
	n := 0
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		item, fault := f.item(part)
		if fault != "" {
			return nil, fmt.Sprintf("item %d: %s", n+1, fault)
		}
		if n++; n > 1 {
			out.WriteByte(',')
		}
		out.Write(item)
	}
	return []byte("[" + out.String() + "]"), ""
}

func (f *Field) item(text string) (value []byte, fault string) {
	if f.Numbers {
		return number(text, f.Whole)
	}
	value, _ = json.Marshal(text)
	return value, ""
}

// Blame sets the error of the field at a JSON pointer, or else of the nearest field
// around it. It reports false where that is the form itself.
func (f *Field) Blame(pointer, fault string) bool {
	for _, m := range f.Fields {
		if pointer == m.Name || strings.HasPrefix(pointer, m.Name+"/") {
			if !m.Blame(pointer, fault) {
				m.Error = fault
			}
			return true
		}
	}
	if f.Kind != Group {
		f.Error = fault
		return true
	}
	return false
}
