package apihttp

import (
	"encoding/base64"
	"net/url"
	"sort"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// paging is the place and the length of a page of a list in memory.
type paging struct {
	after string // the key of the entry before it
	limit int
}

// parsePaging reads cursor and limit. It refuses other parameters.
func parsePaging(q url.Values) (paging, error) {
	p := paging{limit: httpio.MaxPage}
	if err := httpio.OnlyParameters(q, "cursor", "limit"); err != nil {
		return p, err
	}
	if q.Has("limit") {
		if complaint := httpio.SetLimit(&p.limit, q.Get("limit")); complaint != "" {
			return p, httpio.BadParameter("limit", complaint)
		}
	}
	if q.Has("cursor") {
		after, err := base64.RawURLEncoding.DecodeString(q.Get("cursor"))
		if err != nil || len(after) == 0 {
			return p, httpio.BadParameter("cursor", "is not one that this list has given out")
		}
		p.after = string(after)
	}
	return p, nil
}

// cut returns a page of a list that is sorted by key, and the cursor of the next page,
// or "" on the last.
func cut[T any](p paging, list []T, key func(T) string) (page []T, next string) {
	from := 0
	if p.after != "" {
		from = sort.Search(len(list), func(i int) bool { return key(list[i]) > p.after })
	}
	list = list[from:]
	if len(list) <= p.limit {
		return list, ""
	}
	return list[:p.limit], base64.RawURLEncoding.EncodeToString([]byte(key(list[p.limit-1])))
}
