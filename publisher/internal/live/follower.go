package live

// The types of news.
const (
	TypeChange = "change" // something has changed
	TypeJob    = "job"
	TypeEvent  = "event"
	TypeNode   = "node"
	typeReset  = "reset" // some news was left out: the client reads everything again
)

// Types are the types that a follower may ask for.
var Types = []string{TypeChange, TypeJob, TypeEvent, TypeNode}

// Follower says what one stream wants to hear.
type Follower struct {
	// Types are the types of news.
	Types []string
	// Job and Program limit the news to what concerns them. Default: everything.
	Job, Program string
	// Resume asks for the events after the one with the id After.
	Resume bool
	After  string

	stream       sender
	joined, left bool
}

// sender is a stream.
type sender interface{ Send(m *Message) }

// concerns reports whether f has asked for what concerns a job.
func (f *Follower) concerns(job, program string) bool {
	return (f.Job == "" || f.Job == job) && (f.Program == "" || f.Program == program)
}
