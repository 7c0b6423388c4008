package doctor

import "strings"

// Finding is the outcome of one check.
type Finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warning or error
	Detail string `json:"detail"`
	// Do is what the operator should do.
	Do string `json:"do,omitempty"`
}

// name is the name of a check.
type name string

func (n name) ok(detail string) Finding {
	return Finding{Check: string(n), Status: "ok", Detail: detail}
}

// warning takes at most one advice, as failure does.
func (n name) warning(detail string, do ...string) Finding {
	return Finding{string(n), "warning", detail, strings.Join(do, "")}
}

func (n name) failure(detail string, do ...string) Finding {
	return Finding{string(n), "error", detail, strings.Join(do, "")}
}
