package validate

import (
	"context"
	"fmt"
	"strings"
)

// maxName is how much of a name or text of others a message repeats, in bytes.
const maxName = 80

// mismatch says in words what the fault of a check is.
func (r *run) mismatch(ctx context.Context) *Mismatch {
	return &Mismatch{Pointer: pointerAt(ctx, r.text, r.fault.at), Message: r.message()}
}

func (r *run) message() string {
	f, s := &r.fault, r.fault.rule
	switch f.keyword {
	case "":
		return "not allowed"
	case "type":
		return fmt.Sprintf("expected %s, but got %s", s.typeText, f.name)
	case "const", "enum":
		if s.enumText == "" {
			return "it is none of the values that are allowed"
		}
		return "value must be one of " + s.enumText
	case "format":
		return fmt.Sprintf("%s is not valid %s", r.excerpt(), brief(s.formatName))
	case "pattern":
		return fmt.Sprintf("does not match pattern '%s'", brief(s.pattern.String()))
	case "not":
		return "it is what the schema excludes"
	case "oneOf":
		return "more than one of the alternatives of which exactly one must match does"
	case "required":
		return fmt.Sprintf("missing properties: '%s'", brief(f.name))
	case "dependentRequired":
		return fmt.Sprintf("property '%s' is required beside the others", brief(f.name))
	case "additionalProperties":
		return fmt.Sprintf("the property '%s' is not allowed", brief(f.name))
	case "uniqueItems":
		return fmt.Sprintf("the item at index %d is equal to one before it", f.found)
	case "multipleOf":
		return fmt.Sprintf("%s is not a multiple of %s", r.excerpt(), s.multiple)
	}
	if text := r.limitMessage(); text != "" {
		return text
	}
	return r.countMessage()
}

// limitMessage is about the limits of a number.
func (r *run) limitMessage() string {
	s := r.fault.rule
	switch r.fault.keyword {
	case "minimum":
		return fmt.Sprintf("must be >= %s but found %s", s.minimum, r.excerpt())
	case "maximum":
		return fmt.Sprintf("must be <= %s but found %s", s.maximum, r.excerpt())
	case "exclusiveMinimum":
		return fmt.Sprintf("must be > %s but found %s", s.above, r.excerpt())
	case "exclusiveMaximum":
		return fmt.Sprintf("must be < %s but found %s", s.below, r.excerpt())
	}
	return ""
}

// countMessage is about how many of something there are.
func (r *run) countMessage() string {
	s, n := r.fault.rule, r.fault.found
	least := func(limit int, what string) string {
		return fmt.Sprintf("minimum %d %s required, but found %d", limit, what, n)
	}
	most := func(limit int, what string) string {
		return fmt.Sprintf("maximum %d %s allowed, but found %d", limit, what, n)
	}
	switch r.fault.keyword {
	case "minLength":
		return least(s.minText, "characters")
	case "maxLength":
		return most(s.maxText, "characters")
	case "minItems":
		return least(s.array.min, "items")
	case "maxItems":
		return most(s.array.max, "items")
	case "minContains":
		return least(s.array.least, "items of the kind that it must contain")
	case "maxContains":
		return most(s.array.most, "items of the kind that it must contain")
	case "minProperties":
		return least(s.object.min, "properties")
	case "maxProperties":
		return most(s.object.max, "properties")
	}
	return "does not match " + r.fault.keyword
}

// excerpt is the beginning of the value at fault.
func (r *run) excerpt() string {
	rest := r.text[r.fault.at:]
	switch kindOf(rest[0]) {
	case text:
		return brief(string(rest[:min(stringEnd(rest, 0), 2*maxName)]))
	case number:
		return brief(string(rest[:min(numberEnd(rest, 0), 2*maxName)]))
	}
	return "it"
}

func (l *limit) String() string {
	if l.isWhole {
		return fmt.Sprint(l.whole)
	}
	return fmt.Sprint(l.near)
}

// brief cuts a text that may be long.
func brief(text string) string {
	if len(text) <= maxName {
		return text
	}
	return strings.ToValidUTF8(text[:maxName], "") + "…"
}
