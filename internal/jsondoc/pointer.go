// Package jsondoc has what the checks of JSON documents have in common: JSON pointers
// (RFC 6901), words for fields and values, and how deep a text is nested.
package jsondoc

import (
	"strconv"
	"strings"
)

// maxPointer is the length of the longest pointer in a fault, in bytes.
const maxPointer = 512

// Bounded returns the pointer or, if it is too long, that of the innermost object
// or array around it whose pointer is short enough.
func Bounded(pointer string) string {
	for len(pointer) > maxPointer {
		pointer = Parent(pointer)
	}
	return pointer
}

// Parent returns the pointer of the object or array that holds the value.
func Parent(pointer string) string {
	return pointer[:max(0, strings.LastIndexByte(pointer, '/'))]
}

// Element returns the pointer of entry i of the array at pointer.
func Element(pointer string, i int) string { return pointer + "/" + strconv.Itoa(i) }

// Member returns the pointer of a member of the object at pointer.
func Member(pointer, name string) string {
	return pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// Tokens splits a pointer into its unescaped parts.
func Tokens(pointer string) []string {
	if pointer == "" {
		return nil
	}
	parts := strings.Split(pointer[1:], "/")
	for i, p := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(p)
	}
	return parts
}
