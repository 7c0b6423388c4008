package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
)

// upgrade returns how a ledger is upgraded by asker, which holds the lock of the data
// folder home. It waits for nodes as long as they may take to finish what they run.
func upgrade(set settings.Settings, asker, home string, waiting func(string)) ledger.Upgrade {
	return ledger.Upgrade{
		Asker: asker, Home: home, Lease: set.Lease, Follow: set.ShutdownGrace + set.Grace + set.Lease + 10*time.Second, Waiting: waiting,
	}
}

// openLedger opens the ledger, for which it may have to wait for other nodes.
func (n *Node) openLedger(ctx context.Context) (err error) {
	defer keepStarting()()
	waiting := func(text string) { n.log.Warn("the ledger has to be upgraded", "node", n.set.Node, "now", text) }
	n.ledger, err = ledger.Open(ctx, ledger.Config{
		DSN: n.set.Ledger, Lease: n.set.Lease, Observe: n.metrics.Ledger, Webhook: n.set.Webhook, BaseURL: n.set.BaseURL, FormerURLs: n.set.FormerURLs,
		Logger:  n.log.Logger,
		Upgrade: upgrade(n.set, "node "+n.set.Node, n.identity, waiting),
	})
	if err != nil {
		err = fmt.Errorf("%w (see RUNNERBEAN_LEDGER)", err)
	}
	return err
}

// leaveForUpgrade makes the node end, so that another process can upgrade the ledger.
// What runs may finish within the grace period, as at any stop.
func (n *Node) leaveForUpgrade(ctx context.Context, u nodes.Upgrade, stop func()) {
	text := fmt.Sprintf("this node ends, because %s waits to upgrade the ledger to schema %d, which this program does not know: start the new version", u.Asker, u.Schema)
	n.leaving.Store(&text)
	n.log.Warn(text, "node", n.set.Node)
	stop()
	if err := n.ledger.Events.Note(ctx, eventlog.Event{Kind: eventlog.KindUpgrade, Node: n.set.Node, Message: text}); err != nil {
		n.log.Warn("the reason for the end of this node is not among the events", "err", err)
	}
}

// left returns why the node has ended, or nil if nobody wanted to upgrade the ledger.
func (n *Node) left() error {
	if text := n.leaving.Load(); text != nil {
		return fmt.Errorf("%w: %s", ledger.ErrUpgrading, *text)
	}
	return nil
}

// Migration is what Migrate has done.
type Migration struct {
	Ledger string `json:"ledger"` // the file, or the URL without its password
	Before int    `json:"before"` // version of the schema
	After  int    `json:"after"`
	Backup string `json:"backup,omitempty"` // the file with the ledger from before, if it was upgraded
}

// Migrate upgrades the ledger as the start of a node does, but runs no node. It waits for
// up to wait for nodes that have to be stopped by hand. waiting is called with what it
// waits for.
func Migrate(ctx context.Context, set settings.Settings, wait time.Duration, waiting func(string)) (m Migration, err error) {
	m.Ledger = ledger.Name(set.Ledger)
	if path := set.LedgerPath(); path != "" {
		if err := checkOwner(path); err != nil {
			return m, err
		}
	}
	home, unlock, err := lockHome(set.Data)
	if err != nil {
		return m, err
	}
	defer unlock()
	seen, err := ledger.Peek(ctx, set.Ledger)
	if err != nil {
		return m, err
	}
	u := upgrade(set, "runnerbean migrate", home, waiting)
	u.Stop = wait
	l, err := ledger.Open(ctx, ledger.Config{DSN: set.Ledger, Lease: set.Lease, Logger: slog.New(slog.DiscardHandler), Upgrade: u})
	if err != nil {
		return m, err
	}
	m.Before, m.After = seen.Schema, ledger.Schema()
	if done := l.Upgraded; done != nil {
		m.Before, m.Backup = done.From, done.Backup
	}
	return m, l.Close()
}

// checkOwner refuses to work as another user than that of the ledger: the node could not
// write the files that this process makes.
func checkOwner(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &settings.Error{Err: fmt.Errorf("there is no ledger %s: the first start of a node makes it; see RUNNERBEAN_LEDGER", path)}
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	owner := strconv.Itoa(int(stat.Uid))
	if known, err := user.LookupId(owner); err == nil {
		owner = known.Username
	}
	return &settings.Error{Err: fmt.Errorf("the ledger %s belongs to %s: run this as that user (sudo -u %s)", path, owner, owner)}
}

// lockHome takes the lock of a data folder and returns its identity. That is empty where
// a node runs in the folder, or none ever did.
func lockHome(folder string) (home string, unlock func(), err error) {
	if _, err := os.Stat(folder); err != nil {
		return "", func() {}, nil
	}
	lock, err := lockFolder(folder)
	if errors.Is(err, errFolderInUse) {
		return "", func() {}, nil
	}
	if err != nil {
		return "", nil, err
	}
	home, err = dataIdentity(folder)
	return home, func() { _ = lock.Close() }, err
}
