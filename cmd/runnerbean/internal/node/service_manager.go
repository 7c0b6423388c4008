package node

import "github.com/coreos/go-systemd/v22/daemon"

// notify reports a state to the service manager, if there is one.
func notify(state string) { _, _ = daemon.SdNotify(false, state) }

// notifyAlive answers systemd's watchdog, if it waits for that.
func notifyAlive() {
	if every, err := daemon.SdWatchdogEnabled(false); err == nil && every > 0 {
		notify(daemon.SdNotifyWatchdog)
	}
}
