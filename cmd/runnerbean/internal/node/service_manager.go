package node

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify reports a state to the service manager, if there is one.
func notify(state string) { _, _ = daemon.SdNotify(false, state) }

// notifyAlive answers systemd's watchdog, if it waits for that.
func notifyAlive() {
	if every, err := daemon.SdWatchdogEnabled(false); err == nil && every > 0 {
		notify(daemon.SdNotifyWatchdog)
	}
}

// keepStarting tells the service manager every second that the start goes on, until the
// function that it returns is called.
func keepStarting() (started func()) {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				notify("EXTEND_TIMEOUT_USEC=30000000")
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}
