package inputform

import (
	"bytes"
	"encoding/json"
)

// orderedSchemas are the properties of a schema in the order in which they are
// written, which is the order that their author wants them to be read in.
type orderedSchemas struct{ list []property }

type property struct {
	name   string
	schema *schema
}

func (o *orderedSchemas) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil { // the opening brace
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		s := &schema{}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		// A property may be true or false, which says nothing about its form.
		_ = json.Unmarshal(raw, s)
		key, _ := name.(string)
		o.list = append(o.list, property{key, s})
	}
	return nil
}
