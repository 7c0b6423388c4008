package auth

import (
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/jobs"
)

// SeesSecrets reports whether the caller may read what gives access to something else,
// such as the signed URL of an input: an operator may, and the submitter of the job.
func (a *Auth) SeesSecrets(c echo.Context) bool {
	return a.CanAct(c) || CallerOf(c).Role == Submit
}

// Redact removes from a job what gives access to something else: the queries of its
// URLs, and the path of its webhook.
func Redact(j *jobs.Job) {
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
