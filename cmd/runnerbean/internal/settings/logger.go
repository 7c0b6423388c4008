package settings

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// LogHandler returns a handler for the log that goes to file: coloured text on a
// terminal, else JSON, unless RUNNERBEAN_LOG says otherwise. It writes to w, which is
// file or passes all to it.
func (s *Settings) LogHandler(w io.Writer, file *os.File) slog.Handler {
	terminal := isatty.IsTerminal(file.Fd())
	if s.Log == "json" || s.Log == "" && !terminal {
		return slog.NewJSONHandler(w, nil)
	}
	return tint.NewTextHandler(w, &tint.Options{TimeFormat: time.TimeOnly, NoColor: !terminal})
}
