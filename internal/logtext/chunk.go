package logtext

// Chunk is a part of what a program has written.
type Chunk struct {
	Position int64 // of its first byte
	Data     []byte
}

// End returns the position after the last byte.
func (c Chunk) End() int64 { return c.Position + int64(len(c.Data)) }

// From returns what a program has written from a position on: the bytes up to the first gap
// between two chunks, and the position of the first of them. The chunks are in order.
func From(chunks []Chunk, from int64) (position int64, out []byte) {
	for _, c := range chunks {
		switch {
		case c.End() <= from:
			continue
		case out == nil:
			position = max(from, c.Position)
			out = append(make([]byte, 0, c.End()-position), c.Data[position-c.Position:]...)
		case c.Position > position+int64(len(out)):
			return position, out
		default: // one that was appended again may overlap the one before
			out = append(out, c.Data[min(position+int64(len(out))-c.Position, int64(len(c.Data))):]...)
		}
	}
	if out == nil && len(chunks) > 0 {
		position = min(from, chunks[len(chunks)-1].End())
	}
	return position, out
}

// Join returns the log that all chunks make: what is stored at the end of a program that
// has written no more.
func Join(chunks []Chunk) []byte {
	_, head := From(chunks, 0)
	if len(chunks) == 0 {
		return nil
	}
	total := chunks[len(chunks)-1].End()
	if int64(len(head)) == total && total <= 2*EndSize {
		return head
	}
	_, tail := From(chunks, total-EndSize)
	return WithGap(head[:min(len(head), EndSize)], tail, total)
}

// WithGap returns the log of a program that has written total bytes, of which the first and
// the last are given. Neither is cut inside a character.
func WithGap(head, tail []byte, total int64) []byte {
	head, tail = Head(head), Tail(tail)
	gap := Gap(total - int64(len(head)) - int64(len(tail)))
	out := make([]byte, 0, len(head)+len(gap)+len(tail))
	return append(append(append(out, head...), gap...), tail...)
}
