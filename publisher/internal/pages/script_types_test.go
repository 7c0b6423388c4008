package pages

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/jobs"
)

var (
	interfaces = regexp.MustCompile(`(?ms)^export interface (\w+)[^{]*\{\n(.*?)^\}`)
	members    = regexp.MustCompile(`(?m)^  (\w+\??): `)
)

// TestScriptTypesAreThoseOfTheDocument compares the names of members, and which of them
// may be missing, with the documents that Go writes.
func TestScriptTypesAreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	text, err := files.ReadFile("assets/runnerbean.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string][]string{}
	for _, m := range interfaces.FindAllStringSubmatch(string(text), -1) {
		for _, member := range members.FindAllStringSubmatch(m[2], -1) {
			written[m[1]] = append(written[m[1]], member[1])
		}
	}
	for name, document := range map[string]any{
		"ResultDocument": jobs.Result{}, "Provenance": jobs.Provenance{}, "Source": jobs.Source{}, "Artifact": jobs.Artifact{},
		"LeftOut": jobs.LeftOut{}, "JobError": jobs.Error{},
	} {
		if diff := cmp.Diff(jsonMembers(reflect.TypeOf(document)), slices.Sorted(slices.Values(written[name]))); diff != "" {
			t.Errorf("%s: -Go +TypeScript: %s", name, diff)
		}
	}
	var states []string
	for _, s := range jobs.States {
		states = append(states, "'"+string(s)+"'")
	}
	if want := "export type State = " + strings.Join(states, " | ") + ";"; !strings.Contains(string(text), want) {
		t.Errorf("the types lack %q", want)
	}
}

// jsonMembers returns the sorted names of a document's members, with a question mark
// behind those that may be missing.
func jsonMembers(document reflect.Type) []string {
	names := map[string]bool{}
	for field := range document.NumField() {
		name, options, _ := strings.Cut(document.Field(field).Tag.Get("json"), ",")
		if strings.Contains(options, "omit") {
			name += "?"
		}
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}
