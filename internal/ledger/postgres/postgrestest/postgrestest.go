// Package postgrestest runs a private PostgreSQL for tests, in a temporary folder and without
// syncs, on a socket of its own. It needs Debian's package postgresql, or initdb and postgres
// in the PATH.
package postgrestest

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runnerbean/runnerbean/jobs"
)

// patience bounds every wait.
const patience = time.Minute

// Server is a running server.
type Server struct {
	// Dir is the folder of its socket.
	Dir string

	who     *syscall.SysProcAttr
	options []string
	cmd     *exec.Cmd
	log     bytes.Buffer // complete once the process has ended
}

// Start starts a server with the options of postgres, such as "-c", "fsync=on". The caller
// stops it.
func Start(options ...string) (s *Server, err error) {
	dir, err := os.MkdirTemp("", "pg") // short, because it is part of the name of a socket
	if err != nil {
		return nil, err
	}
	s = &Server{Dir: dir, options: options}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	if s.who, err = credential(dir); err != nil {
		return nil, err
	}
	// Another collation than C shows whether the tables set theirs.
	init := exec.Command(binary("initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale-provider=icu", "--icu-locale=en", "--locale=C.UTF-8", "-N")
	init.SysProcAttr, init.Dir = s.who, dir
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	return s, s.Run()
}

// Run starts the server again after Crash.
func (s *Server) Run() error {
	s.cmd = exec.Command(binary("postgres"), append([]string{
		"-D", filepath.Join(s.Dir, "data"), "-k", s.Dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=500",
	}, s.options...)...)
	s.cmd.SysProcAttr, s.cmd.Dir, s.cmd.Stderr = s.who, s.Dir, &s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	if err := s.await(); err != nil {
		s.Crash()
		return fmt.Errorf("%w: %s", err, s.log.String())
	}
	return nil
}

// Crash ends the server at once. What it has not written to its files is lost.
func (s *Server) Crash() {
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	_ = s.cmd.Wait()
}

// credential returns how to run PostgreSQL, which refuses to run as root: as the user
// postgres or nobody, who then owns the folder.
func credential(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, os.Chown(dir, uid, gid)
}

// binary returns the path of a program of the newest PostgreSQL.
func binary(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	list, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(list) == 0 {
		return name
	}
	return list[len(list)-1]
}

func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL(""))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// URL returns a URL of the database with a search_path; empty for the default.
func (s *Server) URL(schema string) string {
	query := url.Values{"host": {s.Dir}}
	if schema != "" {
		query.Set("search_path", schema)
	}
	return "postgres://postgres@/postgres?" + query.Encode()
}

// NewSchema makes a schema and returns the URL of a ledger in it.
func (s *Server) NewSchema() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(""))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	schema := "t" + strings.ReplaceAll(jobs.NewID(), "-", "")
	_, err = conn.Exec(ctx, "CREATE SCHEMA "+schema)
	return s.URL(schema), err
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() {
	s.Crash()
	_ = os.RemoveAll(s.Dir)
}
