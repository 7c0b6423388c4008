//go:build !no_reconciler

package node

// reconciles says that this node runs the reconciler. A chaos test builds a node without
// it, with the tag no_reconciler, and checks that the loss of jobs is noticed.
const reconciles = true
