package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)

func newToken(t testing.TB, name string, role Role, expires time.Time) (string, Token) {
	t.Helper()
	secret, token, err := New(name, role, expires)
	if err != nil {
		t.Fatal(err)
	}
	return secret, token
}

// write makes a file that is younger than the one before.
func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func quiet() (*slog.Logger, *strings.Builder) {
	var out strings.Builder
	return slog.New(slog.NewTextHandler(&out, nil)), &out
}

func TestTokensAreRandomAndKeptAsHashes(t *testing.T) {
	t.Parallel()
	one, entry := newToken(t, "ann", Viewer, time.Time{})
	two, _ := newToken(t, "ann", Viewer, time.Time{})
	if one == two || !strings.HasPrefix(one, tokenMark) || Guessable(one) {
		t.Errorf("%q, %q", one, two)
	}
	if strings.Contains(entry.String(), one[len(tokenMark):]) || entry.Hash != Hash(one) {
		t.Errorf("the entry is %s", entry)
	}
	for _, text := range []string{"", "secret", "rb_", "rb_AAAA", one + "A", one[len(tokenMark):]} {
		if !Guessable(text) {
			t.Errorf("%q cannot be guessed?", text)
		}
	}
	for name, role := range map[string]Role{"a.b": Viewer, "": Viewer, Single: Viewer, "ann": "root", "-a": Operator} {
		if _, _, err := New(name, role, time.Time{}); err == nil {
			t.Errorf("%q %q: no error", name, role)
		}
	}
}

func TestParseTokens(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	list, err := ParseTokens("# people\n\nann viewer " + hash + " # reads\n  bob\toperator " + strings.ToUpper(hash) + " 2027-01-31T00:00:00+01:00\r\n")
	if err != nil || len(list) != 2 || list[0].Role != Viewer || list[1].Name != "bob" || list[1].Hash != list[0].Hash {
		t.Fatal(list, err)
	}
	if end := time.Date(2027, 1, 30, 23, 0, 0, 0, time.UTC); !list[1].Expires.Equal(end) || list[1].Expired(end.Add(-1)) || !list[1].Expired(end) {
		t.Errorf("expires %s", list[1].Expires)
	}
	for text, want := range map[string]string{
		"ann viewer":                                        "line 1: a line is",
		"#\nann root " + hash:                               "line 2: a role is",
		"a/b viewer " + hash:                                "line 1: a name has",
		"token operator " + hash:                            "RUNNERBEAN_TOKEN",
		"ann viewer s3cret":                                 "line 1: the third word",
		"ann viewer " + strings.Repeat("x", 64):             "line 1: the third word",
		"ann viewer " + hash + " tomorrow":                  "line 1: a line is",
		"ann viewer " + hash + " 2027-01-31T00:00:00Z more": "line 1: a line is",
		"ann viewer " + hash + "\n\nann viewer " + hash:     "line 3: the name is that of line 1",
	} {
		_, err := ParseTokens(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret-s3cret-s3cret") {
			t.Errorf("tells what may be a secret: %v", err)
		}
	}
	var many strings.Builder
	for i := range maxTokens + 1 {
		fmt.Fprintf(&many, "n%d viewer %s\n", i, hash)
	}
	if _, err := ParseTokens(many.String()); err == nil {
		t.Error("too many are taken")
	}
}

func FuzzParseTokens(f *testing.F) {
	_, entry := newToken(f, "ann", Operator, now)
	f.Add(entry.String())
	f.Add("# c\nx viewer 00\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseTokens(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, token := range list {
			again.WriteString(token.String() + "\n")
		}
		second, err := ParseTokens(again.String())
		if err != nil || len(second) != len(list) {
			t.Fatalf("%q: %v", again.String(), err)
		}
		for i := range list {
			if list[i].String() != second[i].String() {
				t.Errorf("%s became %s", list[i], second[i])
			}
		}
	})
}

func openTokens(t testing.TB, path, single string) (*Tokens, *strings.Builder) {
	t.Helper()
	log, out := quiet()
	tokens, err := OpenTokens(path, single, log)
	if err != nil {
		t.Fatal(err)
	}
	return tokens, out
}

// later lets the next use look at the file.
func later(tokens *Tokens) { tokens.file.looked.Store(0) }

func TestTokensAreFound(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	ann, annEntry := newToken(t, "ann", Viewer, time.Time{})
	old, oldEntry := newToken(t, "old", Operator, now)
	write(t, path, annEntry.String()+"\n"+oldEntry.String()+"\n")
	tokens, _ := openTokens(t, path, "s3cret-s3cret-s3cret")
	for secret, want := range map[string]Role{ann: Viewer, "s3cret-s3cret-s3cret": Operator, "": "", ann[1:]: "", "S3cret": ""} {
		if got, ok := tokens.Find(secret, now); ok != (want != "") || ok && got.Role != want {
			t.Errorf("%q: %v %v", secret, got, ok)
		}
	}
	if _, ok := tokens.Find(old, now.Add(-time.Second)); !ok {
		t.Error("a token that has not expired is refused")
	}
	if _, ok := tokens.Find(old, now); ok {
		t.Error("an expired token is taken")
	}
	none, _ := openTokens(t, "", "")
	if _, ok := none.Find("", now); ok || none.Wanted() || !tokens.Wanted() {
		t.Error("no tokens at all")
	}
}

func TestTokensFollowTheirFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	ann, annEntry := newToken(t, "ann", Viewer, time.Time{})
	bob, bobEntry := newToken(t, "bob", Viewer, time.Time{})
	write(t, path, annEntry.String())
	tokens, logged := openTokens(t, path, "")
	found := func(secret string) bool {
		_, ok := tokens.Find(secret, now)
		return ok
	}
	write(t, path, annEntry.String()+"\n"+bobEntry.String())
	if found(bob) {
		t.Error("the file is read again within a second")
	}
	if later(tokens); !found(bob) || !found(ann) {
		t.Error("the new token is not known")
	}
	write(t, path, bobEntry.String()+"\nann viewer\n")
	for range 3 {
		if later(tokens); !found(ann) || !found(bob) {
			t.Error("a broken file took tokens away")
		}
	}
	if text := logged.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "line 2") {
		t.Errorf("the log has %s", text)
	}
	write(t, path, bobEntry.String()+"\n")
	if later(tokens); found(ann) || !found(bob) {
		t.Error("the removed token is still taken")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if later(tokens); !found(bob) {
			t.Error("a file that is gone took tokens away")
		}
	}
	if text := logged.String(); strings.Count(text, "level=ERROR") != 2 {
		t.Errorf("the log has %s", text)
	}
}

func TestFilesThatOthersMayWriteAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	_, entry := newToken(t, "ann", Viewer, time.Time{})
	for mode, want := range map[fs.FileMode]string{0o600: "", 0o640: "", 0o644: "chmod o-r", 0o620: "chmod go-w", 0o602: "chmod go-w"} {
		write(t, path, entry.String())
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		log, out := quiet()
		_, err := OpenTokens(path, "", log)
		if refused := mode&0o022 != 0; errors.Is(err, errWritable) != refused {
			t.Errorf("%o: %v", mode, err)
		}
		if err != nil {
			out.WriteString(err.Error())
		}
		if got := out.String(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%o: %q", mode, got)
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	_, ann := newToken(t, "ann", Viewer, time.Time{})
	_, bob := newToken(t, "bob", Operator, now.Add(time.Hour))
	write(t, path, ann.String()+"\n"+bob.String())
	tokens, _ := openTokens(t, path, "s3cret-s3cret-s3cret")
	session, end := Session(ann, now)
	if end != now.Add(SessionTime) {
		t.Errorf("ends %s", end)
	}
	if got, ok := tokens.Session(session, end.Add(-time.Second)); !ok || got.Token.Name != "ann" || got.Token.Role != Viewer {
		t.Errorf("%v %v", got, ok)
	}
	short, end := Session(bob, now)
	if _, ok := tokens.Session(short, end.Add(-time.Second)); !ok || end != bob.Expires {
		t.Errorf("the session of a token that expires ends %s", end)
	}
	name, rest, _ := strings.Cut(session, ".")
	until, seal, _ := strings.Cut(rest, ".")
	for _, text := range []string{
		"", "..", "bob." + rest, name + ".9" + until + "." + seal, name + "." + until + ".", session + "A", session + ".x",
		name + ".+" + until + "." + seal, "token." + rest, strings.Repeat("a", 10_000),
	} {
		if got, ok := tokens.Session(text, now); ok {
			t.Errorf("%q is the session of %v", text, got)
		}
	}
	for text, at := range map[string]time.Time{session: now.Add(SessionTime), short: now.Add(time.Hour)} {
		if _, ok := tokens.Session(text, at); ok {
			t.Errorf("%q does not end", text)
		}
	}
	_, again := newToken(t, "ann", Operator, time.Time{})
	write(t, path, again.String())
	later(tokens)
	if got, ok := tokens.Session(session, now); ok {
		t.Errorf("the session outlives its token, as one of %v", got)
	}
	other, _ := openTokens(t, path, "s3cret-s3cret-s3cret")
	single, _ := other.Find("s3cret-s3cret-s3cret", now)
	text, _ := Session(single, now)
	if got, ok := tokens.Session(text, now); !ok || got.Token.Role != Operator {
		t.Error("another node does not take the session")
	}
}

func FuzzSession(f *testing.F) {
	path := filepath.Join(f.TempDir(), "tokens")
	_, ann := newToken(f, "ann", Viewer, time.Time{})
	write(f, path, ann.String())
	tokens, _ := openTokens(f, path, "")
	session, _ := Session(ann, now)
	f.Add(session)
	f.Add("ann.1.")
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := tokens.Session(text, now); ok != (text == session) {
			t.Errorf("%q: %v", text, ok)
		}
	})
}

func TestEditingKeepsTheRest(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	ann, annEntry := newToken(t, "ann", Viewer, time.Time{})
	_, bobEntry := newToken(t, "bob", Operator, now)
	if err := AddToken(path, annEntry); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != annEntry.String()+"\n" || strings.Contains(string(text), ann) {
		t.Fatalf("%q %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	write(t, path, "# people\n"+annEntry.String()+" # ann\n# end")
	if err := AddToken(path, bobEntry); err != nil {
		t.Fatal(err)
	}
	if err := AddToken(path, bobEntry); err == nil {
		t.Error("a name is taken twice")
	}
	if err := RemoveToken(path, "ann"); err != nil {
		t.Fatal(err)
	}
	if err := RemoveToken(path, "ann"); !errors.Is(err, ErrNoToken) {
		t.Errorf("removing it again: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "# people\n# end\n"+bobEntry.String()+"\n" {
		t.Errorf("%q", text)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v %v", left, err)
	}
}

func TestManyMayEditAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	var all sync.WaitGroup
	for i := range 8 {
		_, entry := newToken(t, fmt.Sprint("n", i), Viewer, time.Time{})
		all.Go(func() {
			if err := AddToken(path, entry); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if list, err := ReadTokens(path); err != nil || len(list) != 8 {
		t.Errorf("%d tokens, %v", len(list), err)
	}
}

func TestFailuresLeakAwayAndAreBounded(t *testing.T) {
	t.Parallel()
	var f Failures
	for range 10 * FailureBurst {
		f.Count("192.0.2.1", now)
	}
	if !f.TooMany("192.0.2.1", now) || f.TooMany("192.0.2.2", now) {
		t.Error("the wrong one waits")
	}
	if f.TooMany("192.0.2.1", now.Add(3*time.Second)) {
		t.Error("the count does not leak away")
	}
	for i := range 2 * failureAddresses {
		f.Count(fmt.Sprintf("2001:db8:%x::1", i), now)
	}
	if len(f.seen) > failureAddresses {
		t.Errorf("%d addresses are remembered", len(f.seen))
	}
	if NetworkOf("2001:db8::1") != NetworkOf("2001:db8::2") || NetworkOf("nonsense").IsValid() {
		t.Error("prefixes")
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	one, two := strings.Repeat("1", minKey), strings.Repeat("2", minKey)
	log, _ := quiet()
	for text, want := range map[string]int{"": 0, "\n\n": 0, one: 1, "  " + one + "\r\n\n" + two + "\n": 2, one + "\nshort": 0, strings.Repeat(one+"\n", 9): 0} {
		write(t, path, text)
		keys, err := OpenKeys(path, log)
		if (err == nil) != (want > 0) {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil && (len(keys.All()) != want || string(keys.All()[0]) != one) {
			t.Errorf("%q: %q", text, keys.All())
		}
	}
}

// certificate writes a pair that is valid for localhost, and returns its serial number.
func certificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: now.AddDate(10, 0, 0), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})))
}

func TestCertificatesAreRenewed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	cert, key, other := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"), filepath.Join(folder, "other.pem")
	certificate(t, cert, key, 1)
	log, logged := quiet()
	opened, err := OpenCertificate(cert, key, log)
	if err != nil {
		t.Fatal(err)
	}
	files := opened.files
	serial := func() int64 {
		files.looked.Store(0)
		return files.get().Leaf.SerialNumber.Int64()
	}
	certificate(t, cert, other, 2) // the key comes a moment after
	if got := serial(); got != 1 || !strings.Contains(logged.String(), "level=ERROR") {
		t.Errorf("with a key that does not fit: %d, %s", got, logged)
	}
	if err := os.Rename(other, key); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("after the change: %d", got)
	}
	if _, err := OpenCertificate(key, cert, log); err == nil {
		t.Error("the wrong way round: no error")
	}
}
