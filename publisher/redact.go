package publisher

import (
	"net/url"

	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/jobs"
)

// redact leaves out of a job what its URLs keep secret: the query of each, and
// the path of the webhook.
func redact(j *jobs.Job) {
	j.Input.URL = redactURL(j.Input.URL)
	j.Result.URL = redactURL(j.Result.URL)
	files := make([]jobs.File, len(j.Files))
	for i, file := range j.Files {
		file.URL = redactURL(file.URL)
		files[i] = file
	}
	j.Files = files
	if u, err := url.Parse(j.Webhook); j.Webhook != "" && err == nil {
		j.Webhook = u.Scheme + "://" + u.Host + "/…"
	} else if err != nil {
		j.Webhook = "(unreadable URL)"
	}
}

func redactURL(raw string) string {
	if raw == "" {
		return ""
	}
	return outbound.Redact(raw)
}
