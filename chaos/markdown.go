package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// writeMarkdown writes the figures of each scenario into a Markdown file, in
// place of those of an earlier run.
func writeMarkdown(path string, results []result) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(data)
	for _, v := range results {
		text = replaceSection(text, v.Scenario, section(v))
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// replaceSection replaces the text between two marks, or appends the section.
func replaceSection(text, name, section string) string {
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	section = begin + section + end
	i, j := strings.Index(text, begin), strings.Index(text, end)
	if i < 0 || j < i {
		return strings.TrimRight(text, "\n") + "\n\n" + section
	}
	return text[:i] + section + text[j+len(end):]
}

func section(v result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s: %s\n\n`%s`, %.0f s, %d processors, %s\n\n| figure | wanted | got | |\n|---|---|---|---|\n",
		strings.ToUpper(v.Scenario), v.Title, v.Replay, v.Seconds, runtime.NumCPU(), v.Began.UTC().Format(time.DateOnly))
	for _, f := range v.Figures {
		mark := "pass"
		if !f.OK {
			mark = "**FAIL**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(f.Name), cell(f.Wanted), cell(f.Got), mark)
	}
	return b.String()
}

// cell escapes text for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(text)
}
