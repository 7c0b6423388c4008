package validate

// kind is what a JSON value is, as a set with one member.
type kind uint8

const (
	null kind = 1 << iota
	boolean
	number
	integer // only wanted, never found
	text
	array
	object
)

var kindNames = map[string]kind{
	"null": null, "boolean": boolean, "number": number, "integer": integer, "string": text, "array": array, "object": object,
}

func (k kind) String() string {
	for name, one := range kindNames {
		if k == one {
			return name
		}
	}
	return "no value"
}

// kindOf is the kind of the value that begins with c.
func kindOf(c byte) kind {
	switch c {
	case '{':
		return object
	case '[':
		return array
	case '"':
		return text
	case 't', 'f':
		return boolean
	case 'n':
		return null
	}
	return number
}
