package jobs

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"
)

const signedID = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"

var (
	urlKey   = []byte(strings.Repeat("k", MinURLKey))
	otherKey = []byte(strings.Repeat("o", MinURLKey))
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
	for _, path := range []string{"", "/", "/log", "/events", "/files/a/b.png", "/files/" + NewID(), "/files/log", "?format=json"} {
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
			"late":        {signedID, urlKey, time.Hour, ErrURLExpired},
			"other job":   {other, urlKey, 0, ErrSignature},
			"other key":   {signedID, otherKey, 0, ErrSignature},
			"no key":      {signedID, nil, 0, ErrSignature},
			"late, wrong": {signedID, otherKey, time.Hour, ErrSignature},
		} {
			if err := VerifySignature(test.id, q, test.key, signedAt.Add(test.at)); !errors.Is(err, test.want) {
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
	e, s := q.Get(ParamExpires), q.Get(ParamSignature)
	for _, query := range []string{
		"", "expires=" + e, "signature=" + s, "expires=" + e + "0&signature=" + s, "expires=0" + e + "&signature=" + s,
		"expires=+" + e + "&signature=" + s, "expires=" + e + "&expires=1&signature=" + s, "expires=" + e + "&signature=" + s + "=",
		"expires=" + e + "&signature=" + strings.ToUpper(s), "expires=&signature=",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifySignature(signedID, values, urlKey, signedAt.Add(-time.Hour)); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestSignURLRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		url string
		key []byte
	}{
		"no result": {"https://results.example/about", urlKey},
		"no URL":    {signedID, urlKey},
		"short key": {"https://results.example/" + signedID, urlKey[1:]},
	} {
		if signed, err := SignURL(test.url, test.key, signedAt); err == nil {
			t.Errorf("%s: %s", name, signed)
		}
	}
}

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
		same := len(q[ParamExpires]) == 1 && len(q[ParamSignature]) == 1 &&
			q.Get(ParamExpires) == right.Get(ParamExpires) && q.Get(ParamSignature) == right.Get(ParamSignature)
		if err := VerifySignature(signedID, q, urlKey, signedAt.Add(-time.Second)); (err == nil) != same {
			t.Errorf("%q: %v", query, err)
		}
	})
}
