package doctor

import "strings"

// Finding is one thing that doctor looked at.
type Finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warning or error
	Detail string `json:"detail"`
	// Do says what to do about it.
	Do string `json:"do,omitempty"`
}

// name is the name of a check.
type name string

func (n name) ok(detail string) Finding {
	return Finding{Check: string(n), Status: "ok", Detail: detail}
}

// warning and failure take what to do about it, if that is known.
func (n name) warning(detail string, do ...string) Finding {
	return Finding{string(n), "warning", detail, strings.Join(do, "")}
}

func (n name) failure(detail string, do ...string) Finding {
	return Finding{string(n), "error", detail, strings.Join(do, "")}
}
