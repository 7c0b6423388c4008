package publisher

import (
	"context"
	"testing"

	"github.com/runnerbean/runnerbean/internal/browsertest"
)

// loginInBrowser signs in with a wrong and a right token, acts, and signs out.
func loginInBrowser(t *testing.T, chromium context.Context) {
	n, vera, otto := newGuarded(t)
	n.register(1)
	n.failed()
	addr, stop := n.serve()
	b := browsertest.NewTab(t, chromium, "403")
	b.Open("http://" + addr + "/jobs?state=failed")
	b.Until(`location.pathname === '/login' && document.activeElement.id === 'token'`)
	b.CheckAccess("login")
	b.Shoot("login")
	b.Fill("#token", "wrong")
	b.Press("Sign in")
	b.Until(`document.querySelector('#fault')?.textContent.includes('not one of this node')`)
	b.CheckAccess("login refused")
	b.Shoot("login-refused")
	b.Fill("#token", vera.secret)
	b.Press("Sign in")
	b.Until(`location.pathname + location.search === '/jobs?state=failed'`)
	b.Until(`document.querySelector('.who')?.textContent.includes('vera') && document.cookie === ''`)
	b.Shoot("jobs-of-a-viewer")
	b.Press("Sign out")
	b.Until(`location.pathname === '/login'`)
	b.Open("http://" + addr + "/jobs")
	b.Until(`location.pathname === '/login'`)
	b.Fill("#token", otto.secret)
	b.Press("Sign in")
	b.Until(`document.querySelector('.who')?.textContent.includes('otto')`)
	b.CheckComplaints()
	b.Open("about:blank")
	if err := stop(); err != nil {
		t.Error(err)
	}
}
