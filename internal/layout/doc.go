// Package layout holds the tests of how the code is laid out: which package
// imports which, how large a package, a file and a type may be, and that the
// files inside a package depend on one another in one direction.
package layout
