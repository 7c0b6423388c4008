package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// future is a schema that the present program does not know.
func future() schema {
	return append(present[:len(present):len(present)], step{"future.sql", "CREATE TABLE future (one BIGINT NOT NULL)"})
}

// others are the connections of other processes, by path.
var others sync.Map

func other(t testing.TB, path string) *sql.DB {
	t.Helper()
	if db, ok := others.Load(path); ok {
		return db.(*sql.DB)
	}
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(10000)"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	others.Store(path, db)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// exec runs statements on a file as another process would.
func exec(t testing.TB, path string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := other(t, path).Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// number returns what a query for one number finds in a file.
func number(t testing.TB, path, query string) (n int) {
	t.Helper()
	if err := other(t, path).QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// ledgerAt makes a ledger with a version of the schema and returns its path.
func ledgerAt(t testing.TB, version int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	exec(t, path, "PRAGMA journal_mode = WAL", "CREATE TABLE schema_version (version BIGINT NOT NULL)", "INSERT INTO schema_version VALUES (0)")
	for i, step := range present[:version] {
		exec(t, path, step.text, "UPDATE schema_version SET version = version + 1")
		if i == 3 {
			exec(t, path, "INSERT INTO identity (one, id) VALUES (1, 'abcdefghij')")
		}
	}
	return path
}

// oldNode adds a node from before followers, newNode one that leaves by itself.
const (
	oldNode = "INSERT INTO nodes (instance, name, base_url, version, slots, started, beat, left_at, programs) VALUES ('i1', 'n1', '', 'v0.1.0', 1, 1, 1, 0, '')"
	newNode = "INSERT INTO nodes (instance, name, base_url, version, slots, started, beat, left_at, programs, home, schema, lease) VALUES ('i1', 'n1', '', 'v0.2.0', 1, 1, 1, 0, '', 'h1', 5, 20000000)"
	beat    = "UPDATE nodes SET beat = beat + 1 WHERE left_at = 0"
)

// play opens a ledger with a clock that moves only while Open sleeps. meanwhile is called
// at each sleep with the time since the beginning.
func play(t *testing.T, path string, s schema, u Upgrade, meanwhile func(time.Duration)) (*DB, time.Duration, error) {
	t.Helper()
	begin := time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC)
	var past time.Duration
	db, err := Open(t.Context(), path, Options{
		Upgrade: u, schema: s, now: func() time.Time { return begin.Add(past) },
		sleep: func(ctx context.Context, d time.Duration) error {
			past += d
			meanwhile(past)
			if past > time.Hour {
				return errors.New("it never ends")
			}
			return ctx.Err()
		},
	})
	if err == nil {
		t.Cleanup(func() { _ = db.Close() })
	}
	return db, past, err
}

// backupHas checks that a copy is a whole ledger of an older version.
func backupHas(t *testing.T, path string, version, nodes int) {
	t.Helper()
	copied := BackupPath(path, version)
	if got := number(t, copied, "SELECT version FROM schema_version"); got != version {
		t.Errorf("the copy has schema %d, want %d", got, version)
	}
	if got := number(t, copied, "SELECT COUNT(*) FROM nodes"); got != nodes {
		t.Errorf("the copy has %d nodes, want %d", got, nodes)
	}
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v", info.Mode(), err)
	}
}

// unchanged checks that a refused upgrade has left nothing.
func unchanged(t *testing.T, path string, version int) {
	t.Helper()
	if got := number(t, path, "SELECT version FROM schema_version"); got != version {
		t.Errorf("the schema is %d, want still %d", got, version)
	}
	if copies, err := filepath.Glob(path + ".schema-*"); err != nil || len(copies) > 0 {
		t.Errorf("copies %v, %v", copies, err)
	}
}

// An additive migration runs once, beside a node that does not know it and goes on, also after
// its next start.
func TestAdditiveMigration(t *testing.T) {
	t.Parallel()
	path := ledgerAt(t, Schema())
	exec(t, path, newNode)
	older, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = older.Close() })
	added := append(present[:len(present):len(present)],
		step{"0007_added" + additive, "CREATE TABLE added (one BIGINT NOT NULL); ALTER TABLE jobs ADD COLUMN added BIGINT NOT NULL DEFAULT 0"})
	errs := make(chan error)
	for range 4 {
		go func() {
			db, err := Open(context.Background(), path, Options{schema: added, now: time.Now, sleep: pause})
			if err == nil {
				err = db.Close()
			}
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	unchanged(t, path, Schema())
	if number(t, path, "SELECT applied FROM schema_additions") != len(added) || number(t, path, "SELECT COUNT(added) FROM jobs") != 0 {
		t.Error("it has not run")
	}
	if number(t, path, "SELECT COUNT(*) FROM nodes WHERE left_at = 0") != 1 {
		t.Error("the node is said to have left")
	}
	again, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatalf("an older program starts: %v", err)
	}
	t.Cleanup(func() { _ = again.Close() })
	for _, w := range []*Writer{older.Writer, again.Writer} {
		if err := w.Begin(); err != nil {
			t.Fatalf("an older program writes: %v", err)
		}
		w.Rollback()
	}
	if _, err := Hold(t.Context(), path); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d migrations, and this program knows %d", len(added), len(present))) {
		t.Errorf("an older program moves it: %v", err)
	}
}

// adds matches the statements of additive migrations: programs that do not know them write the
// same rows as before. A unique index could refuse those.
var adds = regexp.MustCompile(`^(CREATE TABLE \w+ \(|CREATE VIEW \w+ AS |INSERT INTO backlog_folded |CREATE INDEX \w+ ON \w+ \(|ALTER TABLE \w+ ADD COLUMN \w+ \w+ NOT NULL DEFAULT )`)

func TestAdditiveMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	comments := regexp.MustCompile(`(?m)--.*$|/\*(?s:.*?)\*/`)
	postgreSQL := Migrations()
	for i, step := range present {
		if !strings.HasSuffix(step.name, additive) {
			continue
		}
		for text := range strings.SplitSeq(comments.ReplaceAllString(step.text+";"+postgreSQL[i], ""), ";") {
			if text = strings.Join(strings.Fields(text), " "); text != "" && !adds.MatchString(text) {
				t.Errorf("%s: older programs may not bear it: %s", step.name, text)
			}
		}
	}
	for text, want := range map[string]bool{
		"CREATE TABLE t (a BIGINT NOT NULL)": true, "CREATE INDEX i ON t (a)": true, "ALTER TABLE t ADD COLUMN b TEXT NOT NULL DEFAULT ''": true,
		"CREATE UNIQUE INDEX i ON t (a)": false, "ALTER TABLE t ADD COLUMN b TEXT NOT NULL": false, "DROP TABLE t": false, "UPDATE t SET a = 1": false,
		"ALTER TABLE t RENAME COLUMN a TO b": false,
	} {
		if adds.MatchString(text) != want {
			t.Errorf("%s: %t", text, !want)
		}
	}
}

// A migration that is not additive runs after the additive ones that are missing, and only then
// older programs are refused.
func TestMigrationAfterAnAdditiveOne(t *testing.T) {
	t.Parallel()
	added := append(present[:len(present):len(present)], step{"0007_added" + additive, "CREATE TABLE added (one BIGINT NOT NULL)"})
	next := append(added[:len(added):len(added)], step{"0008_next.sql", "ALTER TABLE added ADD COLUMN two BIGINT NOT NULL DEFAULT 0"})
	for name, before := range map[string]schema{"which has run": added, "which has not": present} {
		path := ledgerAt(t, Schema())
		for _, s := range []schema{before, next, next} {
			db, _, err := play(t, path, s, Upgrade{}, func(time.Duration) {})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_ = db.Close()
		}
		for _, s := range []schema{present, added} {
			if _, _, err := play(t, path, s, Upgrade{}, func(time.Duration) {}); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), fmt.Sprintf("it has schema %d, and this program knows %d", len(next), Schema())) {
				t.Errorf("%s: an older program: %v", name, err)
			}
		}
	}
}

func TestUpgradeWaitsUntilLivingNodesHaveLeft(t *testing.T) {
	t.Parallel()
	path := ledgerAt(t, Schema())
	exec(t, path, newNode)
	var said []string
	wished, version := 0, Schema()
	db, past, err := play(t, path, future(), Upgrade{Asker: "node n2", Waiting: func(text string) { said = append(said, text) }}, func(past time.Duration) {
		if n := number(t, path, fmt.Sprintf("SELECT COUNT(*) FROM upgrade WHERE version = %d AND asker = 'node n2'", future().version())); n > 0 {
			wished++
		}
		if past < 9*time.Second {
			exec(t, path, beat)
		} else {
			exec(t, path, "UPDATE nodes SET beat = 0, left_at = 5")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if past > 10*time.Second || wished == 0 || number(t, path, "SELECT COUNT(*) FROM upgrade") > 0 {
		t.Errorf("it took %s; the wish was seen %d times", past, wished)
	}
	if want := (Upgraded{From: version, To: future().version(), Backup: BackupPath(path, version)}); db.Upgraded == nil || *db.Upgraded != want {
		t.Errorf("%+v, want %+v", db.Upgraded, want)
	}
	if text := strings.Join(said, "; "); !strings.Contains(text, "to leave: node n1 (version v0.2.0)") {
		t.Errorf("said: %s", text)
	}
	backupHas(t, path, version, 1)
	if number(t, path, "SELECT version FROM schema_version") != future().version() || number(t, path, "SELECT COUNT(*) FROM future") != 0 {
		t.Error("it is not upgraded")
	}
}

func TestWishIsRenewedEverySecondAndWithdrawn(t *testing.T) {
	t.Parallel()
	path := ledgerAt(t, Schema())
	exec(t, path, newNode)
	renewals := map[int]bool{}
	_, past, err := play(t, path, future(), Upgrade{Follow: time.Minute}, func(time.Duration) {
		exec(t, path, beat)
		renewals[number(t, path, "SELECT renewed FROM upgrade")] = true
	})
	if !errors.Is(err, ErrNodes) || !strings.Contains(err.Error(), "have not left for 1m0s; stop them, then try again: node n1 (version v0.2.0)") {
		t.Errorf("%v", err)
	}
	if past != time.Minute || len(renewals) != 60 {
		t.Errorf("given up after %s and %d renewals", past, len(renewals))
	}
	if number(t, path, "SELECT COUNT(*) FROM upgrade") > 0 {
		t.Error("the wish is still there")
	}
	unchanged(t, path, Schema())
}

func TestUpgradeIsRefusedWhileAnOldNodeLives(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2, 4} {
		path := ledgerAt(t, version)
		exec(t, path, oldNode)
		_, past, err := play(t, path, present, Upgrade{Home: "h2"}, func(past time.Duration) {
			if past%(5*time.Second) == 0 {
				exec(t, path, beat)
			}
		})
		if !errors.Is(err, ErrNodes) || !strings.Contains(err.Error(), "cannot follow; stop them, then try again: node n1 (version v0.1.0)") {
			t.Errorf("schema %d: %v", version, err)
		}
		if past > 5*time.Second {
			t.Errorf("schema %d: refused after %s", version, past)
		}
		unchanged(t, path, version)
	}
}

func TestUpgradeWaitsForOldNodesIfAsked(t *testing.T) {
	t.Parallel()
	path := ledgerAt(t, 4)
	exec(t, path, oldNode)
	_, past, err := play(t, path, present, Upgrade{Stop: 10 * time.Minute}, func(past time.Duration) {
		if past < 3*time.Minute { // then it is killed
			exec(t, path, beat)
		}
	})
	if err != nil || past < 3*time.Minute+oldLease-time.Second || past > 4*time.Minute {
		t.Fatalf("%v after %s", err, past)
	}
	backupHas(t, path, 4, 1)
	path = ledgerAt(t, 4)
	exec(t, path, oldNode)
	_, past, err = play(t, path, present, Upgrade{Stop: 10 * time.Minute}, func(time.Duration) { exec(t, path, beat) })
	if !errors.Is(err, ErrNodes) || past != 10*time.Minute {
		t.Errorf("%v after %s", err, past)
	}
}

func TestUpgradeTakesSilentNodesForDead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version int
		node    string
		u       Upgrade
		after   time.Duration
	}{
		"old":                         {4, oldNode, Upgrade{Lease: time.Second}, oldLease},
		"old, with a long lease":      {4, oldNode, Upgrade{Lease: time.Minute}, time.Minute},
		"with a lease of its own":     {Schema(), newNode, Upgrade{Lease: time.Minute}, 20 * time.Second},
		"of the same data folder":     {Schema(), newNode, Upgrade{Home: "h1"}, 0},
		"has left":                    {Schema(), strings.Replace(newNode, "1, 1, 0,", "1, 0, 7,", 1), Upgrade{}, 0},
		"without a known data folder": {2, oldNode, Upgrade{}, oldLease},
	} {
		path := ledgerAt(t, c.version)
		exec(t, path, c.node)
		if _, past, err := play(t, path, future(), c.u, func(time.Duration) {}); err != nil || past != c.after {
			t.Errorf("%s: %v after %s, want %s", name, err, past, c.after)
		}
		if number(t, path, "SELECT COUNT(*) FROM nodes WHERE left_at > 0 AND beat = 0") != 1 {
			t.Errorf("%s: its jobs are not taken back at once", name)
		}
	}
}

// A node that comes between the last look and the lock is seen under the lock.
func TestUpgradeLooksAgainUnderTheLock(t *testing.T) {
	t.Parallel()
	path := ledgerAt(t, 4)
	came := false
	_, past, err := play(t, path, present, Upgrade{Waiting: func(text string) {
		if strings.HasPrefix(text, "no node uses") && !came {
			came = true
			exec(t, path, oldNode)
		}
	}}, func(time.Duration) {})
	if err != nil || past != oldLease {
		t.Errorf("%v after %s, want %s", err, past, oldLease)
	}
	backupHas(t, path, 4, 1)
}

// Of programs that start together one upgrades, and all go on.
func TestTwoProgramsUpgradeTogether(t *testing.T) {
	t.Parallel()
	path := ledgerAt(t, 4)
	var upgrades atomic.Int32
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			db, err := Open(t.Context(), path, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if db.Upgraded != nil {
				upgrades.Add(1)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if upgrades.Load() != 1 {
		t.Errorf("%d have upgraded, want 1", upgrades.Load())
	}
	backupHas(t, path, 4, 0)
}

// An old program does not start while a new one waits to upgrade; a wish that nobody
// renews keeps nobody from starting and is removed.
func TestOldProgramDoesNotStartDuringAnUpgrade(t *testing.T) {
	t.Parallel()
	path := ledgerAt(t, Schema())
	exec(t, path, fmt.Sprintf("INSERT INTO upgrade (one, version, asker, renewed) VALUES (1, %d, 'node n2', 1)", Schema()+1))
	if _, _, err := play(t, path, present, Upgrade{}, func(past time.Duration) {
		if past%time.Second == 0 {
			exec(t, path, "UPDATE upgrade SET renewed = renewed + 1")
		}
	}); !errors.Is(err, ErrUpgrading) || !strings.Contains(err.Error(), "by node n2") {
		t.Errorf("%v", err)
	}
	if _, past, err := play(t, path, present, Upgrade{}, func(time.Duration) {}); err != nil || past != staleAfter {
		t.Errorf("%v after %s, want %s", err, past, staleAfter)
	}
	if number(t, path, "SELECT COUNT(*) FROM upgrade") > 0 {
		t.Error("the wish is still there")
	}
	if _, past, err := play(t, path, present, Upgrade{}, func(time.Duration) {}); err != nil || past != 0 {
		t.Errorf("%v after %s", err, past)
	}
}

// A program that is killed with its copy half made leaves a part of it.
func TestUpgradeReplacesWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	path := ledgerAt(t, 4)
	for _, name := range []string{BackupPath(path, 4), BackupPath(path, 4) + ".part"} {
		if err := os.WriteFile(name, []byte(strings.Repeat("half", 5000)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := play(t, path, present, Upgrade{}, func(time.Duration) {}); err != nil {
		t.Fatal(err)
	}
	backupHas(t, path, 4, 0)
}
