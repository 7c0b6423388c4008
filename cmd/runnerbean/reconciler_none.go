//go:build no_reconciler

package main

const reconciles = false
