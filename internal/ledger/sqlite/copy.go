package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// CopyTo copies what is committed in the file of a ledger to a new file, in one read
// transaction: it comes to its end however much other processes write. It replaces a file
// of this name. The copy is without the secrets of the pool, which CopyTo returns by name.
func CopyTo(ctx context.Context, path, to string) (secrets map[string]string, err error) {
	if err := vacuumInto(ctx, path, to); err != nil {
		return nil, err
	}
	err = change(ctx, to, func(db *sql.DB) error {
		if known, err := hasTable(ctx, db, "secrets"); err != nil || !known {
			return err
		}
		rows, err := db.QueryContext(ctx, "SELECT name, secret FROM secrets")
		if err != nil {
			return err
		}
		defer rows.Close()
		secrets = map[string]string{}
		for rows.Next() {
			var name, secret string
			if err := rows.Scan(&name, &secret); err != nil {
				return err
			}
			secrets[name] = secret
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, "DELETE FROM secrets")
		return err
	})
	return secrets, err
}

// PrepareRestored makes the copy of a ledger ready for nodes. Queued jobs get new
// messages, since beanstalkd may not have the old ones. No node uses the copy, so that
// those in it have left, and the jobs that ran there run again at once. It adds the
// secrets.
func PrepareRestored(ctx context.Context, path string, secrets map[string]string) error {
	return change(ctx, path, func(db *sql.DB) error {
		if _, err := db.ExecContext(ctx, "UPDATE jobs SET server = '', message = 0 WHERE state = 'queued' AND server <> ''"); err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, "UPDATE nodes SET beat = 0, left_at = ? WHERE left_at = 0", time.Now().UnixMicro()); err != nil {
			return err
		}
		for name, secret := range secrets {
			if _, err := db.ExecContext(ctx, "INSERT INTO secrets (name, secret) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET secret = excluded.secret", name, secret); err != nil {
				return err
			}
		}
		return nil
	})
}

// change opens a copy that nobody else uses, and leaves one complete file.
func change(ctx context.Context, path string, do func(*sql.DB) error) (err error) {
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)", "journal_mode(DELETE)", "secure_delete(1)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	return do(db)
}

func hasTable(ctx context.Context, db *sql.DB, name string) (bool, error) {
	n := 0
	err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?", name).Scan(&n)
	return n > 0, err
}

// Copied is the open copy of a ledger. Nobody changes the file meanwhile.
type Copied struct{ db *sql.DB }

// OpenCopy opens a copy for reading. The caller closes it.
func OpenCopy(path string) (*Copied, error) {
	db, err := sql.Open("sqlite", dsn(path, "query_only(1)")+"&mode=ro&immutable=1")
	if err != nil {
		return nil, err
	}
	return &Copied{db}, nil
}

// Close closes the copy.
func (c *Copied) Close() error { return c.db.Close() }

// Check checks that the file is a whole database.
func (c *Copied) Check(ctx context.Context) error {
	var said string
	if err := c.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said); err != nil {
		return err
	}
	if said != "ok" {
		return fmt.Errorf("the copy of the ledger is damaged: %s", said)
	}
	return nil
}

// Count returns the number of jobs that have had an attempt.
func (c *Copied) Count(ctx context.Context) (n int, err error) {
	err = c.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM jobs WHERE attempt > 0").Scan(&n)
	return n, err
}

// Job is a job that has had an attempt.
type Job struct {
	ID      string
	State   string
	Attempt int // the number of the newest
	// Result reports whether the ledger has its result.
	Result bool
}

// Jobs are such jobs in the order of their ids.
type Jobs struct{ rows *sql.Rows }

// Jobs begins to read the jobs that have had an attempt. The caller closes them.
func (c *Copied) Jobs(ctx context.Context) (*Jobs, error) {
	result, err := hasResult(ctx, c.db)
	if err != nil {
		return nil, err
	}
	rows, err := c.db.QueryContext(ctx, "SELECT id, state, attempt, "+result+" FROM jobs WHERE attempt > 0 ORDER BY id")
	if err != nil {
		return nil, err
	}
	return &Jobs{rows}, nil
}

// hasResult returns an expression that says of a row of jobs whether the ledger has its
// result. Ledgers before schema 6 have none.
func hasResult(ctx context.Context, db *sql.DB) (string, error) {
	known, err := hasTable(ctx, db, "results")
	if known {
		return ownResult, err
	}
	return "0", err
}

// ownResult says of a row of jobs that its result is in the ledger.
const ownResult = "EXISTS (SELECT 1 FROM results WHERE job = jobs.id)"

// Next returns the next job; false after the last.
func (j *Jobs) Next() (job Job, ok bool, err error) {
	if !j.rows.Next() {
		return job, false, j.rows.Err()
	}
	err = j.rows.Scan(&job.ID, &job.State, &job.Attempt, &job.Result)
	return job, err == nil, err
}

// Close ends the reading.
func (j *Jobs) Close() error { return j.rows.Close() }

// OpenLive opens the file of a ledger that other processes change, for reading. The
// caller closes it.
func OpenLive(path string) (*Copied, error) {
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)", "query_only(1)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &Copied{db}, nil
}

// Job reads one job. It returns false if there is none.
func (c *Copied) Job(ctx context.Context, id string) (job Job, ok bool, err error) {
	result, err := hasResult(ctx, c.db)
	if err != nil {
		return job, false, err
	}
	err = c.db.QueryRowContext(ctx, "SELECT id, state, attempt, "+result+" FROM jobs WHERE id = ?", id).Scan(&job.ID, &job.State, &job.Attempt, &job.Result)
	if errors.Is(err, sql.ErrNoRows) {
		return job, false, nil
	}
	return job, err == nil, err
}

// Result reads the result document of a job whose Result is true.
func (c *Copied) Result(ctx context.Context, id string) (document []byte, err error) {
	err = c.db.QueryRowContext(ctx, "SELECT document FROM results WHERE job = ?", id).Scan(&document)
	return document, err
}

// Checkpoint names a checkpoint of a job.
type Checkpoint struct{ Attempt, Number int }

// Checkpoints returns the checkpoints of a job that are kept. Ledgers without their table
// have none.
func (c *Copied) Checkpoints(ctx context.Context, id string) (list []Checkpoint, err error) {
	known, err := hasTable(ctx, c.db, "checkpoints")
	if err != nil || !known {
		return nil, err
	}
	rows, err := c.db.QueryContext(ctx, "SELECT attempt, number FROM checkpoints WHERE job = ? AND state = 1 ORDER BY number", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var one Checkpoint
		if err := rows.Scan(&one.Attempt, &one.Number); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, rows.Err()
}

// PackageFile names a file of packages that is kept.
type PackageFile struct {
	SHA256 string
	Number int64
}

// PackageFiles returns files of packages after one, at most 1,000, in order. Ledgers without
// their table have none.
func (c *Copied) PackageFiles(ctx context.Context, after PackageFile) (list []PackageFile, err error) {
	known, err := hasTable(ctx, c.db, "package_files")
	if err != nil || !known {
		return nil, err
	}
	rows, err := c.db.QueryContext(ctx, `SELECT sha256, number FROM package_files WHERE state = 1 AND (sha256, number) > (?, ?)
		ORDER BY sha256, number LIMIT 1000`, after.SHA256, after.Number)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var one PackageFile
		if err := rows.Scan(&one.SHA256, &one.Number); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, rows.Err()
}

// HasPackageFile reports whether a file of packages is kept.
func (c *Copied) HasPackageFile(ctx context.Context, f PackageFile) (bool, error) {
	known, err := hasTable(ctx, c.db, "package_files")
	if err != nil || !known {
		return false, err
	}
	var n int
	err = c.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM package_files WHERE sha256 = ? AND number = ? AND state = 1", f.SHA256, f.Number).Scan(&n)
	return n > 0, err
}
