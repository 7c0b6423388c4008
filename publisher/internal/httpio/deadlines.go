package httpio

import (
	"net/http"
	"time"
)

// WriteTimeout bounds the writing of an answer. Handlers extend it for a long answer.
const WriteTimeout = time.Minute

// ExtendDeadline gives a connection a timeout to write what comes next. It does nothing
// where w knows no deadlines.
func ExtendDeadline(w http.ResponseWriter, timeout time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout))
}

// RollingDeadline returns a writer that extends the deadline as a long answer is written.
func RollingDeadline(w http.ResponseWriter) http.ResponseWriter {
	return &deadlineWriter{ResponseWriter: w}
}

type deadlineWriter struct {
	http.ResponseWriter
	until time.Time
}

func (w *deadlineWriter) Write(b []byte) (int, error) {
	if now := time.Now(); w.until.Sub(now) < WriteTimeout/2 {
		w.until = now.Add(WriteTimeout)
		ExtendDeadline(w.ResponseWriter, WriteTimeout)
	}
	return w.ResponseWriter.Write(b)
}

func (w *deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
