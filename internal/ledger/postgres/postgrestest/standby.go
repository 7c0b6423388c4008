package postgrestest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// StartStandby starts a copy of a running server that follows it. The caller stops it. With
// synchronous, commits of the server wait until the copy has them on disk.
func (s *Server) StartStandby(synchronous bool) (standby *Server, err error) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	standby = &Server{Dir: dir, options: s.options}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	if standby.who, err = credential(dir); err != nil {
		return nil, err
	}
	copying := exec.Command(binary("pg_basebackup"), "-h", s.Dir, "-U", "postgres", "-D", filepath.Join(dir, "data"), "-R", "-X", "stream", "-c", "fast", "-N")
	copying.SysProcAttr, copying.Dir = standby.who, dir
	if out, err := copying.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pg_basebackup: %w: %s", err, out)
	}
	if err := standby.Run(); err != nil {
		return nil, err
	}
	if !synchronous {
		return standby, nil
	}
	if err := s.wait(standby); err != nil {
		standby.Stop()
		return nil, err
	}
	return standby, nil
}

// wait has commits wait for a standby, once it is connected.
func (s *Server) wait(standby *Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(""))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, text := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if _, err := conn.Exec(ctx, text); err != nil {
			return err
		}
	}
	for state := ""; state != "sync"; {
		_ = conn.QueryRow(ctx, "SELECT sync_state FROM pg_stat_replication").Scan(&state)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the standby in %s does not follow: %w", standby.Dir, ctx.Err())
		}
	}
	return nil
}

// Promote makes a standby take writes.
func (s *Server) Promote() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(""))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "SELECT pg_promote()")
	return err
}

// URLOf returns a URL of several servers: a client connects to the one that takes writes.
func URLOf(servers ...*Server) string {
	hosts := ""
	for i, s := range servers {
		if i > 0 {
			hosts += ","
		}
		hosts += s.Dir
	}
	return "postgres://postgres@/postgres?" + url.Values{"host": {hosts}}.Encode()
}
