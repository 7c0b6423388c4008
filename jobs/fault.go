package jobs

// Fault says what is wrong with a job document, and where.
type Fault struct {
	// Syntax is true where the text is not JSON at all (status 400), false
	// where the JSON is not a job (422).
	Syntax bool
	// Pointer is the JSON pointer (RFC 6901) of the fault; empty means the
	// document as a whole.
	Pointer string
	// Message names the field and says what is wanted.
	Message string
	// ID, Program and ResultURL are what the document says where that could be
	// read and is valid in itself, otherwise empty. A text that is not JSON is
	// not trusted for any of them.
	ID, Program, ResultURL string
}

// Error is the message, followed by the place where there is one.
func (f *Fault) Error() string {
	if f.Pointer == "" {
		return "job: " + f.Message
	}
	return "job: " + f.Message + " (at " + f.Pointer + ")"
}
