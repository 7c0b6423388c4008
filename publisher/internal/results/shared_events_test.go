package results

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

func FuzzSharedJobs(f *testing.F) {
	id := jobs.NewID()
	for _, query := range []string{"job=" + id, "job=" + id + ".1.x&job=" + id, "job=" + id + "..", "job=.", "x=1", strings.Repeat("job="+id+"&", live.MaxJobs+1)} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		list, err := parseSharedJobs(values)
		if (err == nil) != (len(list) > 0) || len(list) > live.MaxJobs || len(list) > len(values[sharedJob]) {
			t.Fatalf("%d jobs of %q: %v", len(list), query, err)
		}
		seen := map[string]bool{}
		for _, job := range list {
			if !jobs.ValidID(job.id) || seen[job.id] {
				t.Fatalf("%q in %q", job.id, query)
			}
			seen[job.id] = true
			value := job.id
			if job.signature != nil {
				value += "." + job.signature.Get(signature.ParamExpires) + "." + job.signature.Get(signature.ParamSignature)
			}
			if first := values[sharedJob]; !slices.Contains(first, value) && !slices.Contains(first, strings.TrimSuffix(value, ".")) {
				t.Fatalf("%q is not in %q", value, query)
			}
		}
	})
}
