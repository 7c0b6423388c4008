//go:build race

package process

// The race detector has sync.Pool drop some of what it is given.
const poolsDrop = true
