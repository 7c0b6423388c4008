package jobs

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/signature"
)

const signedID = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"

var (
	urlKey   = []byte(strings.Repeat("k", signature.MinURLKey))
	otherKey = []byte(strings.Repeat("o", signature.MinURLKey))
	signedAt = time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)
)

func queryOf(t *testing.T, signed string) url.Values {
	t.Helper()
	u, err := url.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func TestSignedURLOpensOneJobForAWhile(t *testing.T) {
	for _, path := range []string{"", "/", "/log", "/events", "/files/a/b.png", "/files/" + NewID(), "/files/log", "?format=json", "/frames/7", "/frames/7/files/a.png", "/bundle.tar"} {
		signed, err := SignURL("https://results.example/x/"+signedID+path, urlKey, signedAt.Add(time.Hour))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		q := queryOf(t, signed)
		other := NewID()
		for name, test := range map[string]struct {
			id   string
			key  []byte
			at   time.Duration
			want error
		}{
			"right":       {signedID, urlKey, 0, nil},
			"last second": {signedID, urlKey, time.Hour - time.Second, nil},
			"late":        {signedID, urlKey, time.Hour, signature.ErrURLExpired},
			"other job":   {other, urlKey, 0, signature.ErrURL},
			"other key":   {signedID, otherKey, 0, signature.ErrURL},
			"no key":      {signedID, nil, 0, signature.ErrURL},
			"late, wrong": {signedID, otherKey, time.Hour, signature.ErrURL},
		} {
			if err := signature.VerifyURL(test.id, q, test.key, signedAt.Add(test.at)); !errors.Is(err, test.want) {
				t.Errorf("%s, %s: %v, want %v", path, name, err, test.want)
			}
		}
		if strings.Contains(path, "format") && q.Get("format") != "json" {
			t.Errorf("%s lost its query: %s", path, signed)
		}
	}
}

func TestOtherQueriesHaveNoValidSignature(t *testing.T) {
	signed, err := SignURL("https://results.example/"+signedID, urlKey, signedAt)
	if err != nil {
		t.Fatal(err)
	}
	q := queryOf(t, signed)
	e, s := q.Get(signature.ParamExpires), q.Get(signature.ParamSignature)
	for _, query := range []string{
		"", "expires=" + e, "signature=" + s, "expires=" + e + "0&signature=" + s, "expires=0" + e + "&signature=" + s,
		"expires=+" + e + "&signature=" + s, "expires=" + e + "&expires=1&signature=" + s, "expires=" + e + "&signature=" + s + "=",
		"expires=" + e + "&signature=" + strings.ToUpper(s), "expires=&signature=",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if err := signature.VerifyURL(signedID, values, urlKey, signedAt.Add(-time.Hour)); !errors.Is(err, signature.ErrURL) {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestSignURLRefuses(t *testing.T) {
	good := "https://results.example/" + signedID
	for name, test := range map[string]struct {
		url  string
		key  []byte
		time time.Time
	}{
		"no result":   {"https://results.example/about", urlKey, signedAt},
		"no URL":      {signedID, urlKey, signedAt},
		"short key":   {good, urlKey[1:], signedAt},
		"zero time":   {good, urlKey, time.Time{}},
		"before 1970": {good, urlKey, time.Unix(-1, 0)},
	} {
		if signed, err := SignURL(test.url, test.key, test.time); err == nil {
			t.Errorf("%s: %s", name, signed)
		}
	}
}

// TestFilesOfSignedResultsAreSigned checks that the signature opens the files of its
// result, and that no other address gets it.
func TestFilesOfSignedResultsAreSigned(t *testing.T) {
	const query = "expires=1&signature=S"
	place := "https://results.example/results/" + signedID
	for name, test := range map[string]struct{ result, file, want string }{
		"a file":          {place + "?" + query, place + "/files/a.png", place + "/files/a.png?" + query},
		"in a folder":     {place + "?" + query, place + "/files/p/a%20b.png?x=1", place + "/files/p/a%20b.png?" + "expires=1&signature=S&x=1"},
		"with a slash":    {place + "/?" + query, place + "/files/a.png", place + "/files/a.png?" + query},
		"other letters":   {place + "?" + query, strings.Replace(place, "results.", "Results.", 1) + "/files/a", strings.Replace(place, "results.", "Results.", 1) + "/files/a?" + query},
		"signed already":  {place + "?" + query, place + "/files/a.png?expires=2&signature=T", ""},
		"not signed":      {place, place + "/files/a.png", ""},
		"half a query":    {place + "?expires=1", place + "/files/a.png", ""},
		"other host":      {place + "?" + query, "https://elsewhere.example/results/" + signedID + "/files/a.png", ""},
		"other port":      {place + "?" + query, strings.Replace(place, ".example", ".example:444", 1) + "/files/a.png", ""},
		"other scheme":    {place + "?" + query, strings.Replace(place, "https", "http", 1) + "/files/a.png", ""},
		"other job":       {place + "?" + query, "https://results.example/results/" + otherID + "/files/a.png", ""},
		"longer name":     {place + "?" + query, place + "x/files/a.png", ""},
		"dots":            {place + "?" + query, place + "/../" + otherID + "/a.png", ""},
		"escaped dots":    {place + "?" + query, place + "/%2e%2e/" + otherID + "/a.png", ""},
		"backslashes":     {place + "?" + query, place + "/..\\..\\a.png", ""},
		"with a user":     {place + "?" + query, strings.Replace(place, "//", "//results.example@", 1) + "/files/a.png", ""},
		"host as a user":  {place + "?" + query, strings.Replace(place, "//", "//results.example@elsewhere.example/", 1), ""},
		"relative":        {place + "?" + query, "files/a.png", ""},
		"no URL":          {place + "?" + query, "https://[", ""},
		"the result only": {place + "?" + query, place, ""},
	} {
		files := []Artifact{{URL: test.file}}
		signFiles(files, test.result)
		want := test.want
		if want == "" {
			want = test.file
		}
		if files[0].URL != want {
			t.Errorf("%s: %s, want %s", name, files[0].URL, want)
		}
	}
}

const otherID = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f3"

func FuzzVerifySignature(f *testing.F) {
	signed, err := SignURL("https://results.example/"+signedID, urlKey, signedAt)
	if err != nil {
		f.Fatal(err)
	}
	_, query, _ := strings.Cut(signed, "?")
	f.Add(query)
	f.Add("expires=-1&signature=")
	f.Add("expires=99999999999999999999&signature=AAAA&signature=B")
	right, _ := url.ParseQuery(query)
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		same := len(q[signature.ParamExpires]) == 1 && len(q[signature.ParamSignature]) == 1 &&
			q.Get(signature.ParamExpires) == right.Get(signature.ParamExpires) && q.Get(signature.ParamSignature) == right.Get(signature.ParamSignature)
		if err := signature.VerifyURL(signedID, q, urlKey, signedAt.Add(-time.Second)); (err == nil) != same {
			t.Errorf("%q: %v", query, err)
		}
	})
}
