package apihttp

import (
	"encoding/base64"
	"net/url"
	"sort"
	"strconv"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// paging is where a page of a list that is held in memory begins, and how long
// it is.
type paging struct {
	after string // the key of the entry before it
	limit int
}

// parsePaging reads cursor and limit, and refuses other parameters.
func parsePaging(q url.Values) (paging, error) {
	p := paging{limit: httpio.MaxPage}
	if err := httpio.OnlyParameters(q, "cursor", "limit"); err != nil {
		return p, err
	}
	if q.Has("limit") {
		n, err := strconv.Atoi(q.Get("limit"))
		if err != nil || n < 1 || n > httpio.MaxPage {
			return p, httpio.BadParameter("limit", "is a number from 1 to 1000")
		}
		p.limit = n
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

// cut takes the page out of a list that is sorted by key, and makes the cursor
// of the next one; empty on the last.
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
