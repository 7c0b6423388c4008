package worker

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// nodeEnv makes the test binary run a node, for tests that kill one.
const nodeEnv = "WORKER_TEST_NODE"

func TestMain(m *testing.M) {
	if spec := os.Getenv(nodeEnv); spec != "" {
		os.Exit(runNode(spec))
	}
	goleak.VerifyTestMain(m)
}
