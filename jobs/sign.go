package jobs

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs/internal/web"
)

// SignURL returns the URL of a result with the parameters expires, in Unix seconds,
// and signature. Nodes with RUNNERBEAN_RESULTS=signed answer it until expires. The
// signature is of the job's id, so the same query also opens what is below the
// result: /events, /log, /files and, of a batch, /frames and /bundle.tar. key is a line of the nodes' RUNNERBEAN_URL_KEY_FILE
// without the line break, at least 32 bytes. A time before 1970, such as the
// zero Time, is an error.
func SignURL(resultURL string, key []byte, expires time.Time) (string, error) {
	u, err := web.ParseURL(resultURL)
	if err != nil {
		return "", fmt.Errorf("jobs: %w", err)
	}
	id := idOf(u.Path)
	if !ValidID(id) {
		return "", fmt.Errorf("jobs: %q is not the URL of a result", web.WithoutQuery(resultURL))
	}
	if len(key) < signature.MinURLKey {
		return "", fmt.Errorf("jobs: a key for URLs has at least %d bytes", signature.MinURLKey)
	}
	if expires.Unix() <= 0 {
		return "", errors.New("jobs: a signed URL needs the time when it expires")
	}
	q, until := u.Query(), strconv.FormatInt(expires.Unix(), 10)
	q.Set(signature.ParamExpires, until)
	q.Set(signature.ParamSignature, signature.URL(key, id, until))
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// signFiles opens files below a result with the query that has opened the result. It
// leaves alone those that have a query of their own kind and those of other places,
// which must not get the signature.
func signFiles(files []Artifact, resultURL string) {
	result, err := web.ParseURL(resultURL)
	if err != nil {
		return
	}
	query := result.Query()
	if !query.Has(signature.ParamExpires) || !query.Has(signature.ParamSignature) {
		return
	}
	for i, f := range files {
		u, err := web.ParseURL(f.URL)
		if err != nil || !isBelow(u, result) {
			continue
		}
		if q := u.Query(); !q.Has(signature.ParamSignature) && !q.Has(signature.ParamExpires) {
			q[signature.ParamExpires], q[signature.ParamSignature] = query[signature.ParamExpires], query[signature.ParamSignature]
			u.RawQuery = q.Encode()
			files[i].URL = u.String()
		}
	}
}

// isBelow reports whether u is on the same server as result and in the folder that its
// path names.
func isBelow(u, result *url.URL) bool {
	if u.Scheme != result.Scheme || !strings.EqualFold(u.Host, result.Host) || u.User != nil {
		return false
	}
	if path.Clean(u.Path) != u.Path || strings.ContainsRune(u.Path, '\\') {
		return false // browsers would leave the folder
	}
	return strings.HasPrefix(u.Path, strings.TrimSuffix(result.Path, "/")+"/")
}

// idOf returns the job id in the path of a result or of something below it, and "" if there is
// none. A file below it may itself be named like an id.
func idOf(result string) string {
	result, _, _ = strings.Cut(result, "/files/")
	segments := strings.Split(result, "/")
	for _, segment := range slices.Backward(segments) {
		if ValidID(segment) {
			return segment
		}
	}
	return ""
}
