//go:build !no_reconciler

package node

// reconciles says that a node takes back what a crash has left undone. The chaos
// scenario C3 builds a node that does not, to see that its rules notice.
const reconciles = true
