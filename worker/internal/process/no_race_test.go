//go:build !race

package process

const poolsDrop = false
