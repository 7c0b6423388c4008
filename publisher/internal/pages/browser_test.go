package pages

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/browsertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestInChromium runs all tests that need a browser: one chromium for all, and a
// tab for each.
func TestInChromium(t *testing.T) {
	t.Parallel()
	chromium := browsertest.Start(t)
	for name, test := range map[string]func(*testing.T, context.Context){
		"overview looks":                overviewLooks,
		"hostile dashboard":             hostileDashboard,
		"without scripts":               withoutScripts,
		"live keeps what a person does": liveKeepsWhatAPersonDoes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, chromium)
		})
	}
}

func ptr[T any](v T) *T { return &v }
