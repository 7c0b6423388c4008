package jobdoc

// integer returns a number without a fraction as an int64. JSON may also write
// it as 3.0 or 3e2. It returns 0 for anything else.
func integer(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 0
}

// text returns v if it is a string, and "" otherwise.
func text(v any) string {
	s, _ := v.(string)
	return s
}

// object returns v if it is an object, and nil otherwise.
func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// array returns v if it is an array, and nil otherwise.
func array(v any) []any {
	a, _ := v.([]any)
	return a
}
