//go:build !linux

package process

const canSubreap = false
