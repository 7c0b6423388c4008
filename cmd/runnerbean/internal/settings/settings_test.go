package settings

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
)

// settingsOf reads settings from these variables only.
func settingsOf(t *testing.T, variables map[string]string) (Settings, error) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, EnvPrefix) {
			t.Setenv(name, "")
		}
	}
	t.Setenv("RUNNERBEAN_DATA", t.TempDir())
	for name, value := range variables {
		t.Setenv(EnvPrefix+name, value)
	}
	return Read()
}

// TestBadSettings checks that errors name the settings.
func TestBadSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 100)
	for name, values := range map[string][]string{
		"BEANSTALKD":       {",", "http://queue", "queue:0", "queue:99999", "queue:x", "unix:relative", "a b:1", "10.0.0.1:11300;10.0.0.2:11300"},
		"PREFIX":           {"-x", "a b", "ü", long, "/"},
		"NODE":             {"a b", "ü", "a/b", long, "..", "a,b"},
		"DATA":             {file, file + "/below"},
		"PROGRAMS":         {file, file + "/below"},
		"SLOTS":            {"-2", "1025", "two", "1.5", "99999999999999999999"},
		"LISTEN":           {"127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:x", "http://127.0.0.1:8420", "1:2:3", "a b:1"},
		"BASE_URL":         {"results.example", "ftp://results.example", "https://", "https://u@results.example", "https://results.example?x=1", "https://results.example/?", "https://results.example#x", "https://results.example:99999", "https://:8420", "://"},
		"LEDGER":           {"postgres://u:secret@%zz/db", "postgres://u@db:port/x", "mysql:x", "sqlite:", "ledger.db", "sqlite://host/path", "sqlite:" + file + "/x", "sqlite:" + os.TempDir()},
		"STORE":            {"s3://key:secret@bucket", "s3://bucket?endpoint=ftp://x", "s3:", "gs://bucket", "store", "file://host/path", "file:///x?y", file, "file://"},
		"FETCH_ALLOW":      {"10.0.0.0/33", "10.0.0", "everything", "10.0.0.0/8;127.0.0.1", "localhost"},
		"WEBHOOK":          {"hooks.example", "ftp://hooks.example", "https://u:p@hooks.example"},
		"WEBHOOK_KEY_FILE": {file, file + "/below", "/no/such/folder/key"},
		"TOKEN_FILE":       {file + ".absent", os.TempDir()},
		"TOKEN":            {"short", "x"},
		"TOKENS_FILE":      {file, file + ".absent", os.TempDir()},
		"FORMER_URLS":      {"old.example", "https://old.example,http://u@old.example", "https://old.example/?a", "https://old.example/#a", "http://:80"},
		"RESULTS":          {"closed", "signed"},
		"URL_KEY_FILE":     {file, file + ".absent"},
		"TLS_CERT":         {file},
		"TLS_KEY":          {file},
		"TIMEOUT":          {"0", "-1h", "1", "soon", "2y", "400d"},
		"ATTEMPTS":         {"0", "-1", "101", "many"},
		"GRACE":            {"-1s", "2d", "10"},
		"SHUTDOWN_GRACE":   {"-1s", "8d"},
		"LEASE":            {"0", "999ms", "2d"},
		"STALL":            {"-1s", "never"},
		"MAX_RESULT":       {"0", "-1", "lots", "1,5GiB", "2EiB"},
		"LEDGER_RESULTS":   {"-1", "2MiB", "all"},
		"MAX_SCRATCH":      {"1", "-1"},
		"MAX_MEMORY":       {"512", "10 XB"},
		"MAX_OPEN_FILES":   {"0", "3", "-1"},
		"CACHE":            {"-1", "1 %", "on"},
		"MIN_FREE":         {"-1", "1 %"},
		"PROXIES":          {"proxy.example", "10.0.0.0/33", "10.0.0.1:80"},
		"CORS":             {"*", "www.example", "https://www.example/path"},
		"LOG":              {"xml"},
		"INBOX":            {"none"},
	} {
		for _, value := range values {
			_, err := settingsOf(t, map[string]string{name: value})
			if err == nil || !strings.Contains(err.Error(), EnvPrefix+name) {
				t.Errorf("%s=%.80s: %v", name, value, err)
			}
		}
	}
}

// TestHarmlessSpellings checks values that may be written in several ways.
func TestHarmlessSpellings(t *testing.T) {
	for _, test := range []struct {
		name, value string
		got         func(s Settings) any
		want        any
	}{
		{"BEANSTALKD", " 10.0.0.5 , [::1]:7,10.0.0.5:11300, ", func(s Settings) any { return strings.Join(s.Beanstalkd, " ") }, "10.0.0.5:11300 [::1]:7"},
		{"BEANSTALKD", "unix:/run/beanstalkd.sock", func(s Settings) any { return s.Beanstalkd[0] }, "unix:/run/beanstalkd.sock"},
		{"BEANSTALKD", "", func(s Settings) any { return s.Beanstalkd[0] }, "127.0.0.1:11300"},
		{"PREFIX", "beans/", func(s Settings) any { return s.Prefix }, "beans"},
		{"SLOTS", " 3 ", func(s Settings) any { return s.Slots }, 3},
		{"LISTEN", ":8420", func(s Settings) any { return s.Listen }, ":8420"},
		{"LISTEN", "*:8420", func(s Settings) any { return s.Listen }, ":8420"},
		{"LISTEN", "0.0.0.0", func(s Settings) any { return s.Listen }, "0.0.0.0:8420"},
		{"LISTEN", "::1", func(s Settings) any { return s.Listen }, "[::1]:8420"},
		{"LISTEN", "[::]:80", func(s Settings) any { return s.Listen }, "[::]:80"},
		{"LISTEN", "9000", func(s Settings) any { return s.Listen }, "127.0.0.1:9000"},
		{"LISTEN", "localhost", func(s Settings) any { return s.Listen }, "localhost:8420"},
		{"BASE_URL", "HTTPS://Results.example/beans//", func(s Settings) any { return s.BaseURL }, "https://Results.example/beans"},
		{"FORMER_URLS", " https://old.example/ ,,http://older.example/beans", func(s Settings) any { return strings.Join(s.FormerURLs, " ") }, "https://old.example http://older.example/beans"},
		{"LEDGER", "SQLite:///var/x.db", func(s Settings) any { return s.Ledger }, "sqlite:/var/x.db"},
		{"LEDGER", "/var/x.db", func(s Settings) any { return s.Ledger }, "sqlite:/var/x.db"},
		{"LEDGER", "PostgreSQL://u:p@db,db2/x?sslmode=disable", func(s Settings) any { return s.Ledger + s.LedgerPath() + s.LedgerFolder() }, "postgres://u:p@db,db2/x?sslmode=disable"},
		{"STORE", "FILE:/srv/store/", func(s Settings) any { return s.Store }, "file:///srv/store"},
		{"STORE", "file://localhost/srv/store", func(s Settings) any { return s.Store }, "file:///srv/store"},
		{"STORE", "/srv/a b%", func(s Settings) any { return s.Store }, "file:///srv/a%20b%25"},
		{"STORE", "S3://results/pool/?endpoint=http://10.0.0.1:9000", func(s Settings) any { return s.Store + s.StoreFolder() }, "s3://results/pool?endpoint=http%3A%2F%2F10.0.0.1%3A9000&region=us-east-1"},
		{"FETCH_ALLOW", " 10.1.0.0/16 , ::1,", func(s Settings) any { return len(s.FetchAllow) }, 2},
		{"RESULTS", "Open", func(s Settings) any { return s.Results }, "open"},
		{"TIMEOUT", "1d 12h", func(s Settings) any { return s.Timeout }, 36 * time.Hour},
		{"STALL", "1w", func(s Settings) any { return s.Stall }, 7 * 24 * time.Hour},
		{"GRACE", "0", func(s Settings) any { return s.Grace }, time.Duration(0)},
		{"MAX_RESULT", "16 MiB", func(s Settings) any { return int64(s.MaxResult) }, int64(16 << 20)},
		{"MAX_RESULT", "1.5mib", func(s Settings) any { return int64(s.MaxResult) }, int64(3 << 19)},
		{"MAX_MEMORY", "2G", func(s Settings) any { return int64(s.MaxMemory) }, int64(2e9)},
		{"CORS", "https://WWW.example/, ", func(s Settings) any { return strings.Join(s.CORS, " ") }, "https://www.example"},
		{"LOG", "JSON", func(s Settings) any { return s.Log }, "json"},
	} {
		s, err := settingsOf(t, map[string]string{test.name: test.value})
		if err != nil {
			t.Errorf("%s=%q: %v", test.name, test.value, err)
			continue
		}
		if got := test.got(s); got != test.want {
			t.Errorf("%s=%q is %v, want %v", test.name, test.value, got, test.want)
		}
	}
}

func TestSettingsNameAllFaults(t *testing.T) {
	_, err := settingsOf(t, map[string]string{"GRACE": "-1s", "NODE": "a b", "BASE_URL": "x"})
	for _, name := range []string{"GRACE", "NODE", "BASE_URL"} {
		if err == nil || !strings.Contains(err.Error(), EnvPrefix+name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}

func TestUnknownSettings(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"RUNNERBEAN_SLOTS=1":         "",
		"RUNNERBEAN_URL=x":           "",
		"PATH=/bin":                  "",
		"RUNNERBEAN_SLOT=1":          "RUNNERBEAN_SLOTS is probably meant",
		"RUNNERBEAN_BEANSTALK=x":     "RUNNERBEAN_BEANSTALKD",
		"RUNNERBEAN_PROGRAM=/x":      "RUNNERBEAN_PROGRAMS",
		"RUNNERBEAN_TIME_OUT=1h":     "RUNNERBEAN_TIMEOUT",
		"runnerbean_slots=1":         "RUNNERBEAN_SLOTS",
		"RUNNERBEAN_BASEURL=x":       "RUNNERBEAN_BASE_URL",
		"RUNNERBEAN_CHAOS=x":         "is not a setting",
		"RUNNERBEAN_SOMETHING_ELSE=": "",
	} {
		said := strings.Join(Unknown([]string{variable}), "\n")
		if (want == "") != (said == "") || !strings.Contains(said, want) {
			t.Errorf("%s: %q, want %q", variable, said, want)
		}
	}
	inside := []string{"RUNNERBEAN_JOB_ID=x", "RUNNERBEAN_ATTEMPT=1", "RUNNERBEAN_PROGRAM=p", "RUNNERBEAN_RESULT_URL=u", "RUNNERBEAN_SCRATCH=s"}
	if said := Unknown(inside); len(said) > 0 {
		t.Errorf("inside a program: %q", said)
	}
}

func TestEnvFile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"plain":         {"A=1\nB=2", "A=1|B=2"},
		"comments":      {"# c\n; c\n\n  A=1\n", "A=1"},
		"blanks":        {"A = x y \n", "A=x y"},
		"single quotes": {"A='x \\n $B'\n", `A=x \n $B`},
		"double quotes": {`A="a \"b\" \\ \x $C"`, `A=a "b" \ \x $C`},
		"several lines": {"A='one\ntwo'\nB=1", "A=one\ntwo|B=1"},
		"joined":        {"A=one\\\ntwo\nB=1", "A=onetwo|B=1"},
		"escaped":       {`A=a\ \#\\ `, `A=a #\`},
		"pieces":        {`A='a' "b"c`, `A=abc`},
		"quote inside":  {`A=it's`, `A=it's`},
		"hash inside":   {"A=x # y", "A=x # y"},
		"equals":        {"A=b=c", "A=b=c"},
		"empty":         {"A=\nB=", "A=|B="},
		"CR LF":         {"A=1\r\nB=2\r\n", "A=1|B=2"},
		"byte order":    {"\ufeffA=1", "A=1"},
		"ünïcode":       {"A=größer", "A=größer"},
	} {
		list, err := parseEnvFile(test.text)
		var got []string
		for _, v := range list {
			got = append(got, v.name+"="+v.value)
		}
		if err != nil || strings.Join(got, "|") != test.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, test.want)
		}
	}
	for text, want := range map[string]string{"A=1\nexport B=2": "line 2", "A": "line 1", "A='x": "missing", "1A=x": "name", "A=\xff": "UTF-8", "A=\x00": "UTF-8", "s3cret\n": "line 1", "A=1\ns3cret+/x==\n": "line 2"} {
		if _, err := parseEnvFile(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzEnvFile(f *testing.F) {
	f.Add("A='x'\nB=\"y\\\n\"\\\nC=z")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseEnvFile(text)
		if err != nil {
			return
		}
		size := 0
		for _, v := range list {
			size += len(v.name) + len(v.value)
			again, err := parseEnvFile(v.name + "='" + strings.ReplaceAll(v.value, "'", `'"'"'`) + "'")
			if err != nil || len(again) != 1 || again[0] != v {
				t.Errorf("%q is %q, %v", v, again, err)
			}
		}
		if size > len(text) {
			t.Errorf("%d bytes from %d", size, len(text))
		}
	})
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.1.2.3": "10.1.2.3/32", "10.0.0.0/8": "10.0.0.0/8", " 10.0.0.0/8 ": "10.0.0.0/8", "::1": "::1/128", "fd00::/8": "fd00::/8",
		"::ffff:10.0.0.0/104": "10.0.0.0/8", "::ffff:10.0.0.1": "10.0.0.1/32",
		"everything": "", "fe80::1%eth0": "", "10.0.0.0/33": "",
	} {
		s := Settings{FetchAllow: []string{text}}
		got, err := s.FetchNetworks()
		if want == "" {
			if err == nil {
				t.Errorf("%q is taken", text)
			}
			continue
		}
		if err != nil || !slices.Equal(got, []netip.Prefix{netip.MustParsePrefix(want)}) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestWebhookSetting(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"": true, "https://www.example/done?x=1": true, "ftp://www.example/": false, "https://u:geheim@www.example/": false, "x": false,
	} {
		err := (&Settings{Webhook: text}).checkWebhook()
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestBoundsOfSlots compares the tag with the limit of the API.
func TestBoundsOfSlots(t *testing.T) {
	for slots, ok := range map[int]bool{api.MaxSlots: true, api.MaxSlots + 1: false} {
		if _, err := settingsOf(t, map[string]string{"SLOTS": strconv.Itoa(slots)}); (err == nil) != ok {
			t.Errorf("%d slots: %v", slots, err)
		}
	}
}
