package validate

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

const (
	// maxPattern bounds the instructions of a regular expression, maxPatterns
	// those of all in a schema. Each is looked at for each character.
	maxPattern  = 20_000
	maxPatterns = 100_000
	// atOnce is how many instructions are run without a look at the context.
	atOnce = 1 << 22
)

// pattern is a regular expression and about how many instructions it has.
type pattern struct {
	*regexp.Regexp
	size int
}

func newPattern(re *regexp.Regexp) *pattern {
	if re == nil {
		return nil
	}
	return &pattern{Regexp: re, size: patternSize(re.String())}
}

// patternSize is about how many instructions a regular expression has; 0 for
// one that is none.
func patternSize(text string) int {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0
	}
	return min(treeSize(tree), 1<<30)
}

// treeSize multiplies what is repeated, as compiling does.
func treeSize(tree *syntax.Regexp) int {
	size := 2 // a class of characters is one, however many ranges it has
	if tree.Op == syntax.OpLiteral {
		size = 1 + len(tree.Rune)
	}
	for _, sub := range tree.Sub {
		size += treeSize(sub)
	}
	if tree.Op == syntax.OpRepeat {
		size *= max(tree.Min, tree.Max, 1)
	}
	return min(size, 1<<30)
}

// patterns adds up the sizes of the regular expressions in a schema, and of what
// looks like one. Those that are none are left to the compiler.
type patterns struct{ total int }

func (p *patterns) walk(v any) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := p.walk(e); err != nil {
				return err
			}
		}
	case map[string]any:
		if text, ok := v["pattern"].(string); ok {
			if err := p.add(text); err != nil {
				return err
			}
		}
		if named, ok := v["patternProperties"].(map[string]any); ok {
			for text := range named {
				if err := p.add(text); err != nil {
					return err
				}
			}
		}
		for _, e := range v {
			if err := p.walk(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *patterns) add(text string) error {
	size := patternSize(text)
	p.total += size
	if size > maxPattern || p.total > maxPatterns {
		return fmt.Errorf("the pattern %.60q, or all together, are too large to be checked", text)
	}
	return nil
}
