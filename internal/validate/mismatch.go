package validate

// Mismatch is the error of a value that its schema does not allow, or that is
// beyond what can be checked.
type Mismatch struct {
	Pointer string // of the value (RFC 6901); "" is the whole
	Message string
}

func (m *Mismatch) Error() string {
	if m.Pointer == "" {
		return m.Message
	}
	return m.Pointer + ": " + m.Message
}
