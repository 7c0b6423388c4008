package jobs

import (
	"net/url"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// maxFileName is the longest file name that common file systems allow, in bytes.
// The schema counts characters.
const maxFileName = 255

// rules checks what the schema cannot express.
func rules(j *Job) *Fault {
	for _, check := range []func(*Job) *Fault{resultRule, urlRules, fileRules, needsRule, rerunRule, timeRule} {
		if f := check(j); f != nil {
			return f
		}
	}
	return nil
}

// resultRule checks that the result URL ends in the id. So it belongs to one job,
// and further URLs can be made by appending to it.
func resultRule(j *Job) *Fault {
	const at = "/result/url"
	u, f := checkURL(at, j.Result.URL)
	if f != nil {
		return f
	}
	if u.RawQuery != "" || u.ForceQuery || strings.Contains(j.Result.URL, "#") {
		return fault(at, "must have neither query nor fragment, but is %s", excerpt(j.Result.URL))
	}
	if !strings.HasSuffix(j.Result.URL, "/"+j.ID) {
		return fault(at, "must end in %q, but is %s", "/"+j.ID, excerpt(j.Result.URL))
	}
	return nil
}

// urlRules checks that all other URLs are absolute and hold no password.
func urlRules(j *Job) *Fault {
	if j.Input.URL != "" {
		if _, f := checkURL("/input/url", j.Input.URL); f != nil {
			return f
		}
	}
	if j.Webhook != "" {
		if _, f := checkURL("/webhook", j.Webhook); f != nil {
			return f
		}
	}
	for i, file := range j.Files {
		if _, f := checkURL(element("/files", i)+"/url", file.URL); f != nil {
			return f
		}
	}
	return nil
}

// checkURL parses an http or https URL with a host and without a user.
func checkURL(pointer, s string) (*url.URL, *Fault) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fault(pointer, "must be %s, not %s", jobSchema().url().Title, excerpt(s))
	}
	if u.User != nil {
		// The password is not repeated.
		return nil, fault(pointer, "must not carry a user name or password")
	}
	return u, nil
}

// url returns the schema of a URL.
func (c *schemaIndex) url() *jsonschema.Schema {
	return c.root.Properties["result"].Properties["url"]
}

// fileRules checks that file names fit into a file system and are unique.
func fileRules(j *Job) *Fault {
	first := make(map[string]int, len(j.Files))
	for i, file := range j.Files {
		at := element("/files", i) + "/name"
		if len(file.Name) > maxFileName {
			return fault(at, "must have at most %d bytes", maxFileName)
		}
		if k, ok := first[file.Name]; ok {
			return fault(at, "must differ from the name of files[%d], %s", k, excerpt(file.Name))
		}
		first[file.Name] = i
	}
	return nil
}

// needsRule checks that a job does not wait for itself.
func needsRule(j *Job) *Fault {
	for i, id := range j.Needs {
		if id == j.ID {
			return fault(element("/needs", i), "must not be the job's own id")
		}
	}
	return nil
}

// rerunRule checks that a job does not repeat itself.
func rerunRule(j *Job) *Fault {
	if j.RerunOf == j.ID {
		return fault("/rerun_of", "must not be the job's own id")
	}
	return nil
}

// timeRule checks that a job can start before it expires.
func timeRule(j *Job) *Fault {
	if j.Expires.IsZero() || j.NotBefore.Before(j.Expires) {
		return nil
	}
	return fault("/expires", "must be after not_before")
}
