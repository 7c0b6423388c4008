package live

import (
	"bytes"
	"strconv"
	"strings"
)

// Message is one Server-Sent Event. It is built once for all streams that send it, and
// must not change.
type Message struct {
	key   string
	last  bool
	chunk []byte // the text as a chunk of HTTP/1.1, and the end of the body after the last
	text  []byte // within chunk
}

// Event returns a message of a kind that an EventSource listens to. id may be empty.
// While a stream is behind, a newer message replaces the waiting one of the same key. A
// message without a key is never replaced.
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

// Opening returns the first message of a stream. It sets the time to wait before
// reconnecting and, if id is not empty, the id to resume with.
func Opening(id string) *Message {
	var b bytes.Buffer
	b.WriteString("retry: 2000\n")
	if id != "" {
		field(&b, "id", id)
	}
	b.WriteByte('\n')
	return frame("", b.Bytes())
}

// Together returns one message with the text of several.
func Together(list []*Message) *Message {
	var b bytes.Buffer
	for _, m := range list {
		b.Write(m.text)
	}
	return frame("", b.Bytes())
}

var comment = frame("comment", []byte(":\n\n"))

// field writes one line. It removes line breaks from value.
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

// Last makes m the end of every stream that sends it. Call it before m is sent.
func (m *Message) Last() *Message {
	m.last, m.chunk = true, append(m.chunk, endOfBody...)
	return m
}

// Text returns the event as a client reads it.
func (m *Message) Text() []byte { return m.text }
