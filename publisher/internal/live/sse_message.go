package live

import (
	"bytes"
	"strconv"
	"strings"
)

// Message is one Server-Sent Event. It is built once for all streams that send
// it, and not changed afterwards.
type Message struct {
	key   string
	last  bool
	chunk []byte // the text as a chunk of HTTP/1.1, and the end of the body after the last
	text  []byte // within chunk
}

// Event is a message of a kind that an EventSource listens to. id may be empty.
// While a stream is behind, a newer message of the same key takes the place of
// the one that waits; one without a key waits for its turn.
func Event(kind, id string, data []byte, key string) *Message {
	var b bytes.Buffer
	field(&b, "event", kind)
	if id != "" {
		field(&b, "id", id)
	}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		b.WriteString("data: ")
		b.Write(bytes.ReplaceAll(line, []byte("\r"), nil))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return frame(key, b.Bytes())
}

// Opening is what a stream begins with: how long to wait before coming again,
// and, where it is not empty, the id to come with if nothing else was sent.
func Opening(id string) *Message {
	var b bytes.Buffer
	b.WriteString("retry: 2000\n")
	if id != "" {
		field(&b, "id", id)
	}
	b.WriteByte('\n')
	return frame("", b.Bytes())
}

// Together is several messages in one, which waits and is sent as a whole.
func Together(list []*Message) *Message {
	var b bytes.Buffer
	for _, m := range list {
		b.Write(m.text)
	}
	return frame("", b.Bytes())
}

var comment = frame("comment", []byte(":\n\n"))

// field writes a line that cannot become two.
func field(b *bytes.Buffer, name, value string) {
	b.WriteString(name)
	b.WriteString(": ")
	b.WriteString(oneLine.Replace(value))
	b.WriteByte('\n')
}

var oneLine = strings.NewReplacer("\r", "", "\n", "", "\x00", "")

const endOfBody = "0\r\n\r\n"

func frame(key string, text []byte) *Message {
	m := &Message{key: key, chunk: make([]byte, 0, len(text)+len("ffffffff\r\n\r\n"))}
	m.chunk = strconv.AppendInt(m.chunk, int64(len(text)), 16)
	m.chunk = append(m.chunk, "\r\n"...)
	from := len(m.chunk)
	m.chunk = append(m.chunk, text...)
	m.text = m.chunk[from:len(m.chunk):len(m.chunk)]
	m.chunk = append(m.chunk, "\r\n"...)
	return m
}

// Last makes m, which nobody has yet, the end of every stream that sends it.
func (m *Message) Last() *Message {
	m.last, m.chunk = true, append(m.chunk, endOfBody...)
	return m
}

// Text is the event as a client reads it.
func (m *Message) Text() []byte { return m.text }
