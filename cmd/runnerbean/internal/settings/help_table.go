package settings

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// HelpTable returns a line for each setting: its name, meaning and default.
func HelpTable() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for field := range fields(&Settings{}) {
		meaning := field.Tag.Get("help")
		if value, ok := field.Tag.Lookup("envDefault"); ok {
			meaning += " (default: " + value + ")"
		}
		fmt.Fprintf(w, "%s%s\t%s\n", EnvPrefix, field.Tag.Get("env"), meaning)
	}
	fmt.Fprintf(w, "RUNNERBEAN_URL\t%s\n", "node that the command line talks to as a client (default: "+defaultURL+")")
	w.Flush()
	return text.String()
}
