package settings

import (
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// Logger returns a logger for stderr: coloured text on a terminal, else JSON, unless
// RUNNERBEAN_LOG says otherwise.
func (s *Settings) Logger(stderr *os.File) *slog.Logger {
	terminal := isatty.IsTerminal(stderr.Fd())
	if s.Log == "json" || s.Log == "" && !terminal {
		return slog.New(slog.NewJSONHandler(stderr, nil))
	}
	return slog.New(tint.NewTextHandler(stderr, &tint.Options{TimeFormat: time.TimeOnly, NoColor: !terminal}))
}
