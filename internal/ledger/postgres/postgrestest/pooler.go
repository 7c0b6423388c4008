package postgrestest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runnerbean/runnerbean/jobs"
)

// poolerPort is in the name of the socket of PgBouncer; that of PostgreSQL has 5432.
const poolerPort = "6432"

// Pooler is a PgBouncer in transaction mode in front of a server. It has few connections, so
// that clients get another one for each transaction.
type Pooler struct {
	server *Server
	cmd    *exec.Cmd
}

// StartPooler starts PgBouncer (Debian's package pgbouncer). The caller stops it before the
// server.
func (s *Server) StartPooler() (*Pooler, error) {
	config := filepath.Join(s.Dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=%s user=postgres
[pgbouncer]
unix_socket_dir = %[1]s
listen_addr =
listen_port = %s
auth_type = any
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 3
`, s.Dir, poolerPort)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path = "/usr/sbin/pgbouncer"
	}
	p := &Pooler{server: s, cmd: exec.Command(path, config)}
	p.cmd.SysProcAttr, p.cmd.Dir = s.who, s.Dir
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (apt install pgbouncer)", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, p.url("postgres"))
		if err == nil {
			return p, conn.Close(ctx)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			p.Stop()
			return nil, err
		}
	}
}

func (p *Pooler) url(database string) string {
	return fmt.Sprintf("postgres://postgres@/%s?host=%s&port=%s&default_query_exec_mode=exec", database, p.server.Dir, poolerPort)
}

// NewDatabase makes a database and returns its URL through the pooler.
func (p *Pooler) NewDatabase() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.server.URL(""))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	name := "t" + strings.ReplaceAll(jobs.NewID(), "-", "")
	_, err = conn.Exec(ctx, "CREATE DATABASE "+name)
	return p.url(name), err
}

// Stop ends the pooler.
func (p *Pooler) Stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
