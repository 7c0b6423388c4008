//go:build no_reconciler

package node

const reconciles = false
