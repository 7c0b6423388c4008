package settings

import (
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// Logger writes to stderr: coloured text for people, JSON for machines.
func (s *Settings) Logger(stderr *os.File) *slog.Logger {
	terminal := isatty.IsTerminal(stderr.Fd())
	if s.Log == "json" || s.Log == "" && !terminal {
		return slog.New(slog.NewJSONHandler(stderr, nil))
	}
	return slog.New(tint.NewTextHandler(stderr, &tint.Options{TimeFormat: time.TimeOnly, NoColor: !terminal}))
}
