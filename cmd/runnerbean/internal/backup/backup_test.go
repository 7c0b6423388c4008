package backup

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/storepair"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/ledgertest"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// silent is a Progress that nobody looks at.
var silent = Progress{Begin: func(int) {}, Set: func(int) {}}

// place returns the settings of a ledger and a store that do not exist.
func place(t testing.TB) settings.Settings {
	dir := t.TempDir()
	return settings.Settings{
		Data: dir, Ledger: "sqlite:" + filepath.Join(dir, "ledger.db"), Store: filepath.Join(dir, "store"),
		WebhookKey: filepath.Join(dir, "webhook.key"),
	}
}

// pool is a ledger and a store with results, logs and files.
type pool struct {
	settings.Settings
	t testing.TB
	// succeeded are the ids of the successes.
	succeeded []string
}

func newPool(t testing.TB, n int) *pool {
	t.Helper()
	p := &pool{Settings: place(t), t: t}
	must(t, ledgertest.Fill(t.Context(), p.LedgerPath(), n))
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: p.Ledger})
	must(t, err)
	defer l.Close()
	s, err := store.Open(context.Background(), p.Store)
	must(t, err)
	defer s.Close()
	_, err = storepair.Claim(t.Context(), l, s)
	must(t, err)
	p.sql("INSERT INTO secrets (name, secret) VALUES ('webhook-key', 'geheim-geheim')")
	for _, job := range p.jobs() {
		p.put(s, job)
	}
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *pool) sql(text string) {
	p.t.Helper()
	db, err := sql.Open("sqlite", "file:"+p.LedgerPath()+"?_pragma=busy_timeout(10000)")
	must(p.t, err)
	_, err = db.Exec(text)
	must(p.t, errors.Join(err, db.Close()))
}

func (p *pool) jobs() (list []sqlite.Job) {
	p.t.Helper()
	copied, err := sqlite.OpenCopy(p.LedgerPath())
	must(p.t, err)
	defer copied.Close()
	rows, err := copied.Jobs(p.t.Context())
	must(p.t, err)
	defer rows.Close()
	for {
		job, ok, err := rows.Next()
		must(p.t, err)
		if !ok {
			return list
		}
		list = append(list, job)
	}
}

// put stores what a job has left: of each third success also files. The result of each
// fifth is in the ledger.
func (p *pool) put(s *store.Store, job sqlite.Job) {
	p.t.Helper()
	must(p.t, s.Replace(p.t.Context(), store.LogKey(job.ID, 1), []byte("log of "+job.ID)))
	if job.State != string(jobs.Succeeded) {
		list := fmt.Sprintf(`{"attempt":1,"artifacts":[{"name":"left of %s"}]}`, job.ID)
		must(p.t, s.Replace(p.t.Context(), store.OutputKey(job.ID, 1), []byte(list)))
		must(p.t, s.Replace(p.t.Context(), store.FileKey(job.ID, 1, "left of "+job.ID), []byte("left")))
		p.sql(fmt.Sprintf("INSERT INTO checkpoints (job, number, attempt, state, sha256, size, at) VALUES ('%s', 12, 1, 1, '', 5, 1)", job.ID))
		must(p.t, s.Replace(p.t.Context(), store.CheckpointKey(job.ID, 1, 12), []byte("saved")))
		digest := strings.Repeat(job.ID[len(job.ID)-2:], 32)
		p.sql(fmt.Sprintf("INSERT OR IGNORE INTO package_files (sha256, number, state, size, at) VALUES ('%s', 12, 1, 4, 1)", digest))
		must(p.t, s.Replace(p.t.Context(), store.PackageKey(digest, 12), []byte("sent")))
		return
	}
	p.succeeded = append(p.succeeded, job.ID)
	document := fmt.Sprintf(`{"id":%q,"state":"succeeded","attempt":1,"result":{"artifacts":[7],"attempt":"x"}}`, job.ID)
	if len(p.succeeded)%3 == 0 {
		document = fmt.Sprintf(`{"id":%q,"attempt":1,"result":[1],"artifacts":[{"name":"Plot 1.svg"},{"name":"a/b"}]}`, job.ID)
		must(p.t, s.Replace(p.t.Context(), store.FileKey(job.ID, 1, "Plot 1.svg"), []byte("<svg>")))
		must(p.t, s.Replace(p.t.Context(), store.FileKey(job.ID, 1, "a/b"), bytes.Repeat([]byte("b"), 100_000)))
	}
	if len(p.succeeded)%5 == 0 {
		p.sql(fmt.Sprintf("INSERT INTO results (job, at, document) VALUES ('%s', 1, CAST('%s' AS BLOB))", job.ID, document))
		return
	}
	must(p.t, s.Replace(p.t.Context(), store.ResultKey(job.ID), []byte(document)))
}

// archive returns a backup.
func (p *pool) archive(change ...func(*Options)) ([]byte, Summary) {
	p.t.Helper()
	var out bytes.Buffer
	o := Options{Settings: p.Settings, Out: &out, Progress: silent}
	for _, f := range change {
		f(&o)
	}
	s, err := Write(p.t.Context(), o)
	must(p.t, err)
	return out.Bytes(), s
}

// objects returns the files of a store with their contents and times.
func objects(t testing.TB, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		info, err2 := d.Info()
		name, err3 := filepath.Rel(folder, path)
		if name != "identity" {
			text = append(text, info.ModTime().Truncate(1e9).String()...)
		}
		all[name] = string(text)
		return errors.Join(err, err2, err3)
	}))
	return all
}

// TestRestoreIsWhatWasSaved saves a pool, checks the archive, restores it elsewhere, and
// compares everything.
func TestRestoreIsWhatWasSaved(t *testing.T) {
	t.Parallel()
	p := newPool(t, 700) // several tables of digests
	keysFile := filepath.Join(t.TempDir(), "keys")
	must(t, os.WriteFile(p.WebhookKey, []byte("key of webhooks"), 0o600))
	archive, saved := p.archive(func(o *Options) { o.KeysFile = keysFile })
	if saved.Objects != len(objects(t, p.Store))-1 || saved.Missing != 0 || saved.Jobs != len(p.jobs()) {
		t.Errorf("%+v of %d files and %d jobs", saved, len(objects(t, p.Store)), len(p.jobs()))
	}
	checked, err := Check(t.Context(), bytes.NewReader(archive), silent)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(saved, checked); diff != "" {
		t.Errorf("saved and checked differ: %s", diff)
	}
	to := place(t)
	restored, err := Restore(t.Context(), to, bytes.NewReader(archive), keysFile, silent)
	must(t, err)
	if diff := cmp.Diff(saved, restored); diff != "" {
		t.Errorf("saved and restored differ: %s", diff)
	}
	if diff := cmp.Diff(objects(t, p.Store), objects(t, to.Store)); diff != "" {
		t.Errorf("the stores differ: %.2000s", diff)
	}
	if key, err := os.ReadFile(to.WebhookKey); string(key) != "key of webhooks" {
		t.Errorf("the key is %q, %v", key, err)
	}
	q := pool{Settings: to, t: t}
	if diff := cmp.Diff(p.jobs(), q.jobs()); diff != "" {
		t.Errorf("the jobs differ: %.2000s", diff)
	}
	pair, err := storepair.Look(t.Context(), to)
	if err != nil || pair.Fault() != nil || pair.Missing > 0 || pair.Store.Restoring {
		t.Errorf("the pair: %+v, %v, %v", pair, err, pair.Fault())
	}
	if got, want := q.results(), p.results(); len(want) == 0 || !cmp.Equal(got, want) {
		t.Errorf("the results in the ledgers differ: %s", cmp.Diff(want, got))
	}
	if n := q.count("SELECT COUNT(*) FROM jobs WHERE state = 'queued' AND server <> ''"); n > 0 {
		t.Errorf("%d queued jobs have old messages", n)
	}
	if n := q.count("SELECT COUNT(*) FROM secrets WHERE secret = 'geheim-geheim'"); n != 1 {
		t.Errorf("%d secrets are restored", n)
	}
}

// results returns the results in the ledger by job.
func (p *pool) results() map[string]string {
	p.t.Helper()
	copied, err := sqlite.OpenCopy(p.LedgerPath())
	must(p.t, err)
	defer copied.Close()
	all := map[string]string{}
	for _, job := range p.jobs() {
		if job.Result {
			document, err := copied.Result(p.t.Context(), job.ID)
			must(p.t, err)
			all[job.ID] = string(document)
		}
	}
	return all
}

// withLedger returns an archive whose ledger and manifest were changed.
func withLedger(t testing.TB, archive []byte, text string, manifest *strings.Replacer) []byte {
	t.Helper()
	list := entries(t, archive)
	path := filepath.Join(t.TempDir(), "ledger.db")
	must(t, os.WriteFile(path, []byte(list[1].body), 0o600))
	p := pool{Settings: settings.Settings{Ledger: "sqlite:" + path}, t: t}
	p.sql(text)
	body, err := os.ReadFile(path)
	must(t, err)
	list[0], list[1] = file(manifestName, manifest.Replace(list[0].body)), file(ledgerName, string(body))
	return packed(t, rebuilt(t, list))
}

// TestArchiveBeforeResultsInTheLedger restores an archive of schema 5.
func TestArchiveBeforeResultsInTheLedger(t *testing.T) {
	t.Parallel()
	p := newPool(t, 60)
	s, err := store.Open(context.Background(), p.Store)
	must(t, err)
	for id, document := range p.results() {
		must(t, s.Replace(t.Context(), store.ResultKey(id), []byte(document)))
	}
	must(t, s.Close())
	p.sql("DELETE FROM results")
	archive, saved := p.archive()
	archive = withLedger(t, archive, "DROP TABLE results; UPDATE schema_version SET version = 5",
		strings.NewReplacer(fmt.Sprintf(`"schema":%d`, saved.Schema), `"schema":5`))
	to := place(t)
	restored, err := Restore(t.Context(), to, bytes.NewReader(archive), "", silent)
	if err != nil || restored.Jobs != saved.Jobs || restored.Missing != 0 {
		t.Errorf("%+v, %v", restored, err)
	}
	if diff := cmp.Diff(objects(t, p.Store), objects(t, to.Store)); diff != "" {
		t.Errorf("the stores differ: %.2000s", diff)
	}
}

// TestResultsLeftOutOfTheLedger checks an archive whose ledger has lost its results.
func TestResultsLeftOutOfTheLedger(t *testing.T) {
	t.Parallel()
	archive, _ := newPool(t, 40).archive()
	archive = withLedger(t, archive, "DELETE FROM results", strings.NewReplacer())
	if _, err := Check(t.Context(), bytes.NewReader(archive), silent); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "successes have no result") {
		t.Errorf("checked with %v", err)
	}
}

func (p *pool) count(query string) (n int) {
	p.t.Helper()
	db, err := sql.Open("sqlite", p.LedgerPath())
	must(p.t, err)
	must(p.t, errors.Join(db.QueryRow(query).Scan(&n), db.Close()))
	return n
}

// TestArchiveHasNoSecrets looks for a secret in all that a restore without keys writes.
func TestArchiveHasNoSecrets(t *testing.T) {
	t.Parallel()
	p := newPool(t, 30)
	must(t, os.WriteFile(p.WebhookKey, []byte("geheim-geheim"), 0o600))
	archive, _ := p.archive()
	to := place(t)
	_, err := Restore(t.Context(), to, bytes.NewReader(archive), "", silent)
	must(t, err)
	for name, text := range objects(t, to.Data) {
		if strings.Contains(text, "geheim") {
			t.Errorf("%s has the secret", name)
		}
	}
}

// TestMissingResults saves a pool that has lost the result of one job, files of two others,
// one of them with a result in the ledger, and the result of a job that is deleted during the backup.
func TestMissingResults(t *testing.T) {
	t.Parallel()
	p := newPool(t, 300)
	lost, deleted, fileless, small := p.succeeded[1], p.succeeded[3], p.succeeded[2], p.succeeded[14]
	for _, key := range []string{store.ResultKey(lost), store.ResultKey(deleted), store.FileKey(fileless, 1, "a/b"), store.FileKey(small, 1, "a/b")} {
		must(t, os.Remove(filepath.Join(p.Store, key)))
	}
	archive, saved := p.archive(func(o *Options) {
		o.Progress.Begin = func(int) { p.sql("DELETE FROM jobs WHERE id = '" + deleted + "'") } // after the copy
	})
	want := []string{lost, fileless, small}
	slices.Sort(want)
	if !slices.Equal(slices.Sorted(slices.Values(saved.MissingJobs)), want) || saved.Missing != len(want) {
		t.Errorf("%+v, want %s to be missing", saved, want)
	}
	checked, err := Check(t.Context(), bytes.NewReader(archive), silent)
	if err != nil || checked.Missing != len(want) {
		t.Errorf("%+v, %v", checked, err)
	}
}

// TestDamagedArchive changes and cuts an archive at many places.
func TestDamagedArchive(t *testing.T) {
	t.Parallel()
	p := newPool(t, 40)
	archive, _ := p.archive()
	step := len(archive)/31 + 1
	for at := 0; at < len(archive); at += step {
		damaged := bytes.Clone(archive)
		damaged[at] ^= 0x10
		if _, err := Check(t.Context(), bytes.NewReader(damaged), silent); err == nil && !bytes.Equal(unpack(t, damaged), unpack(t, archive)) {
			t.Errorf("an archive with another byte at %d of %d is taken", at, len(archive))
		}
		if _, err := Check(t.Context(), bytes.NewReader(archive[:at]), silent); !errors.Is(err, ErrArchive) {
			t.Errorf("an archive of %d bytes of %d: %v", at, len(archive), err)
		}
	}
	if _, err := Check(t.Context(), bytes.NewReader(append(bytes.Clone(archive), archive...)), silent); !errors.Is(err, ErrArchive) {
		t.Errorf("an archive with another one after it: %v", err)
	}
}

// unpack decompresses an archive.
func unpack(t testing.TB, archive []byte) []byte {
	t.Helper()
	d, err := zstd.NewReader(nil)
	must(t, err)
	defer d.Close()
	text, err := d.DecodeAll(archive, nil)
	must(t, err)
	return text
}

// TestRestoreBeginsAgain has a restore end at many places, as a kill would leave it. No
// node starts with what is left, and the same restore succeeds then.
func TestRestoreBeginsAgain(t *testing.T) {
	t.Parallel()
	p := newPool(t, 60)
	archive, _ := p.archive()
	to := place(t)
	for at := 0; at < len(archive); at += len(archive)/9 + 1 {
		if _, err := Restore(t.Context(), to, bytes.NewReader(archive[:at]), "", silent); err == nil {
			t.Fatalf("a restore of %d bytes succeeds", at)
		}
		if _, err := os.Stat(to.LedgerPath()); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("a ledger is left: %v", err)
		}
		pair, err := storepair.Look(t.Context(), to)
		must(t, err)
		if pair.Fault() == nil {
			t.Errorf("a node would start after %d bytes", at)
		}
	}
	_, err := Restore(t.Context(), to, bytes.NewReader(archive), "", silent)
	must(t, err)
	if diff := cmp.Diff(objects(t, p.Store), objects(t, to.Store)); diff != "" {
		t.Errorf("the stores differ: %.2000s", diff)
	}
}

// TestRestoreKeepsWhatIsThere restores beside a ledger, into a store that is not empty,
// and over other keys: it refuses and changes nothing.
func TestRestoreKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	p := newPool(t, 30)
	must(t, os.WriteFile(p.WebhookKey, []byte("key"), 0o600))
	keysFile := filepath.Join(t.TempDir(), "keys")
	archive, _ := p.archive(func(o *Options) { o.KeysFile = keysFile })
	for name, prepare := range map[string]func(settings.Settings) error{
		"ledger": func(s settings.Settings) error { return os.WriteFile(s.LedgerPath(), []byte("x"), 0o600) },
		"store": func(s settings.Settings) error {
			return errors.Join(os.Mkdir(s.Store, 0o755), os.WriteFile(filepath.Join(s.Store, "notes"), nil, 0o600))
		},
		"keys": func(s settings.Settings) error { return os.WriteFile(s.WebhookKey, []byte("another"), 0o600) },
	} {
		to := place(t)
		must(t, prepare(to))
		before := objects(t, to.Data)
		if _, err := Restore(t.Context(), to, bytes.NewReader(archive), keysFile, silent); err == nil {
			t.Errorf("%s: it is restored", name)
		}
		after := objects(t, to.Data)
		delete(after, "store/restoring")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s: changed: %s", name, diff)
		}
	}
}

// TestFileAppearsWhole writes to a file: an error leaves the older archive and nothing
// else.
func TestFileAppearsWhole(t *testing.T) {
	t.Parallel()
	p := newPool(t, 30)
	file := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(file, []byte("older"), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Settings: p.Settings, File: file, Progress: Progress{Begin: func(int) {}, Set: func(int) { cancel() }}}
	if _, err := Write(ctx, o); err == nil {
		t.Error("it goes on")
	}
	if got := objects(t, filepath.Dir(file)); len(got) != 1 || !strings.HasPrefix(got["a"], "older") {
		t.Errorf("left: %v", got)
	}
	o.Progress = silent
	_, err := Write(t.Context(), o)
	must(t, err)
	in, err := os.Open(file)
	must(t, err)
	defer in.Close()
	if _, err := Check(t.Context(), in, silent); err != nil {
		t.Error(err)
	}
	if got := objects(t, filepath.Dir(file)); len(got) != 1 {
		t.Errorf("left: %d files", len(got))
	}
}
