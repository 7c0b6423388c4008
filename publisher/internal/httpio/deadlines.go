package httpio

import (
	"net/http"
	"time"
) // writeTimeout bounds an answer; what may take longer extends it as it goes.
const WriteTimeout = time.Minute

// ExtendDeadline gives a connection time to write what comes next. Writers that know
// no deadlines do without.
func ExtendDeadline(w http.ResponseWriter, timeout time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout))
}

// DeadlineWriter gives each part of a long answer its own time.
type DeadlineWriter struct {
	http.ResponseWriter
	until time.Time
}

func RollingDeadline(w http.ResponseWriter) *DeadlineWriter {
	return &DeadlineWriter{ResponseWriter: w}
}

func (w *DeadlineWriter) Write(b []byte) (int, error) {
	if now := time.Now(); w.until.Sub(now) < WriteTimeout/2 {
		w.until = now.Add(WriteTimeout)
		ExtendDeadline(w.ResponseWriter, WriteTimeout)
	}
	return w.ResponseWriter.Write(b)
}

func (w *DeadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
