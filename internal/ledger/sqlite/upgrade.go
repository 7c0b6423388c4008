package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

var (
	// ErrNodes is returned if nodes are alive that cannot follow an upgrade, or that have
	// not left for it in time.
	ErrNodes = errors.New("the ledger was not upgraded")
	// ErrUpgrading is returned if another process is about to upgrade the ledger to a
	// schema that this program does not know.
	ErrUpgrading = errors.New("the ledger is about to be upgraded")
	// errChanged means that a node has come or another process holds the file.
	errChanged = errors.New("the file is in use")
)

const (
	lookEvery  = 250 * time.Millisecond // between two looks at the nodes
	renewEvery = time.Second            // the wish for an upgrade
	// staleAfter is when a wish that nobody renews is void.
	staleAfter    = 4 * time.Second
	defaultFollow = 2 * time.Minute
)

// Upgrade says how Open upgrades the schema of a ledger that other nodes may use.
type Upgrade struct {
	// Asker is what upgrades it, such as "node n2". Nodes that leave show it.
	Asker string
	// Home is the identity of a data folder whose lock the caller holds. Other instances
	// of that folder are dead. Default: none.
	Home string
	// Lease is the time without a heartbeat after which nodes are dead that have not
	// recorded their own lease. At least, and by default, 20 s.
	Lease time.Duration
	// Follow is how long Open waits for nodes that leave by themselves. Default 2 minutes.
	Follow time.Duration
	// Stop is how long Open waits for nodes that a person has to stop. Default: not at all.
	Stop time.Duration
	// Waiting is called with what Open waits for, each time that it changes. Default: none.
	Waiting func(text string)
}

// Upgraded is an upgrade that Open has done, from one version of the schema to another.
type Upgraded struct {
	From, To int
	Backup   string // the file that has the ledger from before
}

// upgrader brings the schema of a file up to date.
type upgrader struct {
	Upgrade
	conn   *sql.Conn
	path   string
	schema schema
	now    func() time.Time
	// sleep waits for a time or the end of ctx. Its error is that of ctx.
	sleep func(ctx context.Context, d time.Duration) error

	observer observer
	began    time.Time
	renewed  time.Time // when the wish was written last
	said     string    // to Waiting
}

// run brings the schema up to date. Of several processes that start together, one does
// it. The result is nil if nothing was upgraded.
func (u *upgrader) run(ctx context.Context) (*Upgraded, error) {
	u.began = u.now()
	u.observer = observer{home: u.Home, lease: u.Lease, seen: map[string]sighting{}}
	if u.Follow <= 0 {
		u.Follow = defaultFollow
	}
	for {
		version, done, err := u.look(ctx)
		switch {
		case err == nil:
			return done, nil
		case version > 0 && (errors.Is(err, errChanged) || IsBusy(err)):
			err = u.wait(ctx, version, err)
		}
		if err != nil {
			u.withdraw(version)
			return nil, err
		}
	}
}

// look does what the version of the file needs. It returns errChanged if it has to be
// called again.
func (u *upgrader) look(ctx context.Context) (version int, done *Upgraded, err error) {
	version, err = readSchema(ctx, u.conn)
	switch {
	case err != nil:
	case version > u.schema.version():
		err = u.schema.newer(version)
	case version == u.schema.version():
		if err = u.refuseOthers(ctx); err == nil {
			err = u.extend(ctx, version)
		}
	case version == 0:
		err = u.schema.create(ctx, u.conn)
	default:
		done, err = u.upgrade(ctx, version)
	}
	return version, done, err
}

// extend runs the additive migrations that are missing, while nodes use the ledger. It returns
// errChanged if it has to be called again.
func (u *upgrader) extend(ctx context.Context, version int) error {
	if applied, err := readApplied(ctx, u.conn, version); err != nil || applied >= len(u.schema) {
		return err
	}
	return inTransaction(ctx, u.conn, func(tx *sql.Tx) error {
		if now, err := readSchema(ctx, tx); err != nil || now != version {
			return errors.Join(err, errChanged)
		}
		return u.schema.apply(ctx, tx, version)
	})
}

// upgrade upgrades a ledger if no node uses it. It returns errChanged if it has to be
// called again, and ErrNodes if that is of no use.
func (u *upgrader) upgrade(ctx context.Context, version int) (done *Upgraded, err error) {
	if err := u.noNodes(ctx, u.conn, version); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && !errors.Is(err, errChanged) && !errors.Is(err, ErrNodes) {
			err = fmt.Errorf("upgrade from schema %d to %d: %w", version, u.schema.version(), err)
		}
	}()
	u.say("no node uses the ledger: it is copied and upgraded")
	err = inTransaction(ctx, u.conn, func(tx *sql.Tx) error {
		if now, err := readSchema(ctx, tx); err != nil || now != version {
			return errors.Join(err, errChanged)
		}
		if err := u.noNodes(ctx, tx, version); err != nil { // nobody can come any more
			return err
		}
		if err := backupBefore(ctx, u.path, version); err != nil {
			return err
		}
		// All instances are dead. Nodes take their jobs back at once.
		if _, err := tx.ExecContext(ctx, "UPDATE nodes SET beat = 0, left_at = ? WHERE left_at = 0", u.now().UnixMicro()); err != nil {
			return err
		}
		done = &Upgraded{From: version, To: u.schema.version(), Backup: BackupPath(u.path, version)}
		return u.schema.apply(ctx, tx, version)
	})
	return done, err
}

// noNodes returns nil if all nodes are dead or have left, errChanged if that may come, and
// ErrNodes if it is time to give up.
func (u *upgrader) noNodes(ctx context.Context, q querier, version int) error {
	list, err := readInstances(ctx, q, version)
	if err != nil {
		return err
	}
	alive, unknown := u.observer.pending(list, u.now())
	var old, leaving []engine.Instance
	for _, i := range alive {
		if i.Schema == 0 {
			old = append(old, i)
		} else {
			leaving = append(leaving, i)
		}
	}
	waited := u.now().Sub(u.began)
	switch {
	case len(old) > 0 && waited >= u.Stop:
		return fmt.Errorf("%w from schema %d to %d: nodes are alive that cannot follow; stop them, then try again: %s", ErrNodes, version, u.schema.version(), names(old))
	case len(leaving) > 0 && waited >= max(u.Follow, u.Stop):
		return fmt.Errorf("%w from schema %d to %d: nodes have not left for %s; stop them, then try again: %s", ErrNodes, version, u.schema.version(), waited.Round(time.Second), names(leaving))
	case len(old) > 0:
		u.say("waiting until somebody stops the nodes that cannot follow an upgrade: " + names(old))
	case len(leaving) > 0:
		u.say("waiting for nodes to leave: " + names(leaving))
	case len(unknown) > 0:
		u.say("waiting to see which nodes are alive: " + names(unknown))
	default:
		return nil
	}
	return errChanged
}

// wait waits for the next look. It returns cause if it is too late for one.
func (u *upgrader) wait(ctx context.Context, version int, cause error) error {
	if IsBusy(cause) {
		u.say("waiting for another process that writes to the ledger or upgrades it")
		if u.now().Sub(u.began) >= max(u.Follow, u.Stop) {
			return cause
		}
	}
	if err := u.want(ctx, version); err != nil && !IsBusy(err) {
		return err
	}
	return u.sleep(ctx, lookEvery)
}

// want renews the wish for an upgrade, which makes nodes leave.
func (u *upgrader) want(ctx context.Context, version int) error {
	now := u.now()
	if version < schemaOfFollowers || version >= u.schema.version() || now.Sub(u.renewed) < renewEvery {
		return nil
	}
	u.renewed = now
	_, err := u.conn.ExecContext(ctx, `INSERT INTO upgrade (one, version, asker, renewed) VALUES (1, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET
		version = excluded.version, asker = excluded.asker, renewed = excluded.renewed`, u.schema.version(), u.Asker, now.UnixMicro())
	return err
}

// withdraw removes the wish of an upgrade that is given up. If it cannot, the wish is
// void soon.
func (u *upgrader) withdraw(version int) {
	if version >= schemaOfFollowers && !u.renewed.IsZero() {
		_, _ = u.conn.ExecContext(context.Background(), "DELETE FROM upgrade")
	}
}

func (u *upgrader) say(text string) {
	if u.Waiting != nil && text != u.said {
		u.Waiting(text)
	}
	u.said = text
}

// refuseOthers returns ErrUpgrading if another process is about to upgrade the ledger to a
// schema that this program does not know. A node that started now would have to leave at
// once. It removes the wish of a process that was killed.
func (u *upgrader) refuseOthers(ctx context.Context) error {
	first, found, err := u.readWish(ctx)
	if err != nil || !found {
		return err
	}
	for began := u.now(); u.now().Sub(began) < staleAfter; {
		if err := u.sleep(ctx, lookEvery); err != nil {
			return err
		}
		last, found, err := u.readWish(ctx)
		switch {
		case err != nil:
			return err
		case !found:
			version, err := readSchema(ctx, u.conn)
			if err == nil && version > u.schema.version() {
				err = u.schema.newer(version)
			}
			return err
		case last.Renewed != first.Renewed:
			return fmt.Errorf("%w to schema %d by %s, and this program knows %d: start the new version", ErrUpgrading, last.Version, last.Asker, u.schema.version())
		}
	}
	_, err = u.conn.ExecContext(ctx, "DELETE FROM upgrade WHERE renewed = ?", first.Renewed)
	return err
}

// wish is that somebody wants an upgrade to a newer schema.
type wish struct {
	Version int
	Asker   string
	Renewed int64 // changes every second
}

func (u *upgrader) readWish(ctx context.Context) (w wish, found bool, err error) {
	err = u.conn.QueryRowContext(ctx, "SELECT version, asker, renewed FROM upgrade WHERE version > ?", u.schema.version()).Scan(&w.Version, &w.Asker, &w.Renewed)
	if errors.Is(err, sql.ErrNoRows) {
		return w, false, nil
	}
	return w, err == nil, err
}
