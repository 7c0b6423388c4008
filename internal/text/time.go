package text

import (
	"fmt"
	"strings"
	"time"
)

// timeForms are what ParseTime reads beside RFC 3339.
var timeForms = []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateTime}

// ParseTime reads a time in RFC 3339, or a date with or without a time of day in the
// location where.
func ParseTime(text string, where *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	at, err := time.Parse(time.RFC3339, text)
	for _, form := range timeForms {
		if err == nil {
			break
		}
		at, err = time.ParseInLocation(form, text, where)
	}
	if err != nil || at.Year() < 1970 || at.Year() > 9999 {
		return time.Time{}, fmt.Errorf("%.70q is no date or time such as 2026-11-22 or 2026-11-22T06:16:00Z", text)
	}
	return at, nil
}
