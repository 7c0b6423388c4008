package postgres

import (
	"bytes"
	"errors"
	"net"
	neturl "net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

// proxy passes connections to the server, and breaks the one that sends a text.
type proxy struct {
	dir string
	mu  sync.Mutex
	cut string // the text; empty after it has come
	// late says that the server gets the text and answers before the connection breaks.
	late bool
}

func newProxy(t *testing.T, late bool) *proxy {
	t.Helper()
	p := &proxy{dir: t.TempDir(), late: late}
	l, err := net.Listen("unix", filepath.Join(p.dir, ".s.PGSQL.5432"))
	must(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return p
}

func (p *proxy) breakAt(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = text
}

func (p *proxy) breaks(data []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut == "" || !bytes.Contains(data, []byte(p.cut)) {
		return false
	}
	p.cut = ""
	return true
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	up, err := net.Dial("unix", filepath.Join(server.Dir, ".s.PGSQL.5432"))
	if err != nil {
		return
	}
	defer up.Close()
	answered, broken := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := up.Read(buf)
			select {
			case <-broken: // it is read, and not passed on
				answered <- struct{}{}
				return
			default:
			}
			if err != nil {
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if p.breaks(buf[:n]) {
			close(broken)
			if p.late {
				_, _ = up.Write(buf[:n])
				<-answered
			}
			return
		}
		if _, err := up.Write(buf[:n]); err != nil {
			return
		}
	}
}

// A commit whose answer is lost is found out: it was done, or it was not.
func TestCommitWithoutAnswer(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{true, false} {
		p := newProxy(t, late)
		url := newURL(t)
		w := open(t, strings.Replace(url, neturl.QueryEscape(server.Dir), neturl.QueryEscape(p.dir), 1)).Writer
		for prepared := range 2 {
			must(t, w.Begin())
			_, err := w.Exec(qAdd, -1)
			must(t, err)
			if prepared == 0 {
				must(t, w.Commit(true))
			}
		}
		p.breakAt(w.(*Writer).id) // goes with the COMMIT
		err := w.Commit(true)
		if late != (err == nil) || w.Lost(err) {
			t.Errorf("late %v: %v", late, err)
		}
		w.Rollback()
		must(t, w.Begin())
		version, want := 0, sqlite.Schema()-1
		if late {
			want--
		}
		if _, err := w.Row(qRead, nil, &version); err != nil || version != want {
			t.Errorf("late %v: version %d, want %d, %v", late, version, want, err)
		}
		_, err = w.Exec(qAdd, -1)
		must(t, err)
		must(t, w.Commit(true))
	}
}

// A durable commit survives a crash of the server. Another one may not; the writer goes on
// without it.
func TestCrash(t *testing.T) {
	t.Parallel()
	s, err := postgrestest.Start("-c", "wal_writer_delay=10s", "-c", "bgwriter_lru_maxpages=0")
	must(t, err)
	defer s.Stop()
	for _, durable := range []bool{true, false} {
		url, err := s.NewSchema()
		must(t, err)
		db, err := Open(t.Context(), url)
		must(t, err)
		w := db.Writer
		must(t, w.Begin())
		_, err = w.Exec(qAdd, -1)
		must(t, err)
		must(t, w.Commit(durable))
		s.Crash()
		must(t, s.Run())
		version := 0
		_, err = db.Reader.Row(t.Context(), qRead, nil, &version)
		must(t, err)
		if kept := version == sqlite.Schema()-1; durable && !kept {
			t.Error("a durable commit is lost")
		}
		must(t, w.Begin())
		_, err = w.Exec(qAdd, -1)
		must(t, err)
		must(t, w.Commit(true))
		must(t, db.Close())
	}
}

// ownServer returns a server that the test may crash, and a ledger there.
func ownServer(t *testing.T) (*postgrestest.Server, engine.Database) {
	t.Helper()
	s, err := postgrestest.Start()
	must(t, err)
	t.Cleanup(s.Stop)
	url, err := s.NewSchema()
	must(t, err)
	return s, open(t, url)
}

// The writer waits for a server that is away, and then goes on.
func TestOutage(t *testing.T) {
	t.Parallel()
	s, db := ownServer(t)
	s.Crash()
	if err := db.Writer.Begin(); !errors.Is(err, engine.ErrAway) || db.Writer.Lost(err) {
		t.Errorf("begun while it is away: %v", err)
	}
	version := 0
	if _, err := db.Reader.Row(t.Context(), qRead, nil, &version); !errors.Is(err, engine.ErrAway) {
		t.Errorf("read while it is away: %v", err)
	}
	if _, err := db.Reader.Row(t.Context(), &engine.Query{Text: "SELECT nothing"}, nil, &version); !errors.Is(err, engine.ErrAway) {
		t.Errorf("read while it is away: %v", err)
	}
	must(t, s.Run())
	if _, err := db.Reader.Row(t.Context(), &engine.Query{Text: "SELECT nothing"}, nil, &version); err == nil || errors.Is(err, engine.ErrAway) {
		t.Errorf("a fault of a query: %v", err)
	}
	must(t, db.Writer.Begin())
	must(t, db.Writer.Commit(true))
}

// An outage that takes too long ends the wait.
func TestOutageThatLasts(t *testing.T) {
	t.Parallel()
	s, db := ownServer(t)
	w := db.Writer.(*Writer)
	w.outage = 100 * time.Millisecond
	must(t, w.Begin())
	_, err := w.Exec(qAdd, 0)
	must(t, err)
	s.Crash()
	if err := w.Commit(true); !w.Lost(err) {
		t.Errorf("commit: %v", err)
	}
	w.Rollback()
}

// A process that stands still in a transaction does not keep others from writing.
func TestFrozenWriter(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	a, b := open(t, url).Writer.(*Writer), open(t, url).Writer
	a.frozen = 2 * time.Second
	must(t, a.Begin())
	_, err := a.Exec(qAdd, -1)
	must(t, err)
	must(t, b.Begin()) // once the server has ended the transaction of a
	must(t, b.Commit(true))
	if err := a.Commit(true); err == nil || a.Lost(err) {
		t.Errorf("committed by the one that stood still: %v", err)
	}
	a.Rollback()
	a.frozen = frozenLimit
	must(t, a.Begin())
	version := 0
	if _, err := a.Row(qRead, nil, &version); err != nil || version != sqlite.Schema() {
		t.Errorf("version %d, %v", version, err)
	}
	must(t, a.Commit(true))
}
