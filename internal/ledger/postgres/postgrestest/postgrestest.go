// Package postgrestest runs a private PostgreSQL for tests, in a temporary folder and without
// syncs, on a socket of its own. It needs Debian's package postgresql, or initdb and postgres
// in the PATH.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
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

	// Port is that of 127.0.0.1 where StartTCP has started it; else it has only the socket.
	Port int

	who     *syscall.SysProcAttr
	options []string
	cmd     *exec.Cmd
	log     bytes.Buffer // complete once the process has ended
}

// Start starts a server with the options of postgres, such as "-c", "fsync=on". The caller
// stops it.
func Start(options ...string) (*Server, error) { return start(0, options) }

// StartTCP starts a server that listens on a port of 127.0.0.1, too.
func StartTCP(options ...string) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, err
	}
	return start(port, append([]string{"-c", "listen_addresses=127.0.0.1", "-c", fmt.Sprintf("port=%d", port)}, options...))
}

func start(port int, options []string) (s *Server, err error) {
	dir, err := os.MkdirTemp("", "pg") // short, because it is part of the name of a socket
	if err != nil {
		return nil, err
	}
	s = &Server{Dir: dir, Port: port, options: options}
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
	if s.Port != 0 {
		query.Set("port", strconv.Itoa(s.Port))
	}
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

// Exec runs statements as the superuser.
func (s *Server) Exec(statements ...string) error { return s.ExecIn("postgres", statements...) }

// ExecIn does so in another database.
func (s *Server) ExecIn(database string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("")+"&dbname="+database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// Write writes a file into the folder of the data, for the server to read after it has started
// again, and returns its path.
func (s *Server) Write(name, text string) (string, error) {
	path := filepath.Join(s.Dir, "data", name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", err
	}
	return path, s.give(path)
}

// Folder makes a folder that the server may write, for a tablespace.
func (s *Server) Folder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return s.give(path)
}

func (s *Server) give(path string) error {
	if s.who == nil {
		return nil
	}
	return os.Chown(path, int(s.who.Credential.Uid), int(s.who.Credential.Gid))
}

// Freeze stops all processes of the server, so that it answers nothing and breaks no connection,
// until Thaw.
func (s *Server) Freeze() error { return s.signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() error { return s.signal(syscall.SIGCONT) }

// signal signals the server, which then starts no more processes, and its children. Each of
// them has a process group of its own.
func (s *Server) signal(signal syscall.Signal) error {
	pid := s.cmd.Process.Pid
	if err := syscall.Kill(pid, signal); err != nil {
		return err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		return err
	}
	for child := range strings.FieldsSeq(string(children)) {
		n, err := strconv.Atoi(child)
		if err != nil {
			return err
		}
		if err := syscall.Kill(n, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() {
	s.Crash()
	_ = os.RemoveAll(s.Dir)
}
