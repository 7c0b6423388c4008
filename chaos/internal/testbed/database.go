package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// Database is a PostgreSQL that syncs, as it does by default.
type Database struct {
	Process *Process
	URL     string
}

// NewDatabase makes a database that is not started. It needs Debian's package postgresql, or
// initdb and postgres in the PATH. Since PostgreSQL refuses to run as root, it runs as the user
// postgres then.
func (bed *Testbed) NewDatabase(name string) (*Database, error) {
	addr, err := bed.Addr(name)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "runnerbean-database-*") // outside of folders that others may not enter
	if err != nil {
		return nil, err
	}
	bed.atClose(func() error { return os.RemoveAll(folder) })
	as, err := asPostgres(folder)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(folder, "data")
	command := append(as, postgresBinary("initdb"), "-D", data, "-U", "postgres", "-A", "trust")
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	if err := allowAll(filepath.Join(data, "pg_hba.conf")); err != nil {
		return nil, err
	}
	host, number := Split(addr)
	command = append(as, postgresBinary("postgres"), "-D", data, "-k", folder, "-h", host, "-p", number)
	p := bed.process(name, command[0], command[1:], []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"})
	return &Database{Process: p, URL: "postgres://postgres@" + addr + "/postgres?sslmode=disable"}, nil
}

// allowAll lets clients of all networks in. The server listens at one address only.
func allowAll(file string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("host all all all trust\n")
	return errors.Join(err, f.Close())
}

// asPostgres returns the beginning of a command that runs in a folder, and as the user postgres
// if this process is root. The folder is given to that user.
func asPostgres(folder string) ([]string, error) {
	command := []string{"/usr/bin/env", "-C", folder}
	if os.Getuid() != 0 {
		return command, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	return append(command, "setpriv", "--reuid", u.Uid, "--regid", u.Gid, "--clear-groups"), os.Chown(folder, uid, -1)
}

// postgresBinary returns the path of a program of the newest PostgreSQL.
func postgresBinary(name string) string {
	list, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if path, err := exec.LookPath(name); err == nil || len(list) == 0 {
		return path
	}
	return list[len(list)-1]
}

// Up starts the database and waits until it answers.
func (d *Database) Up(ctx context.Context) error {
	if err := d.Process.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return Until(ctx, 10*time.Millisecond, d.Process.Name+" answers", func() bool {
		conn, err := pgx.Connect(ctx, d.URL)
		if err != nil {
			return false
		}
		_ = conn.Close(ctx)
		d.Process.bed.History.Note(check.Event{What: check.Up, Who: d.Process.Name})
		return true
	})
}

// Crash ends all processes of the database at once, without a checkpoint. SIGKILL would leave
// some of them for a moment, and a new one would not start beside them.
func (d *Database) Crash() { d.Process.EndWith(syscall.SIGQUIT, check.Kill, 0) }
