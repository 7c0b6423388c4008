// Package api holds the types of the JSON answers of /api/v1. The publisher
// writes them, the command line reads them. Job documents and results, which
// have schemas of their own, are in package jobs.
package api
