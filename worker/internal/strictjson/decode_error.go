package strictjson

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
)

// Readable returns a decoding error without what it says about Go types.
func Readable(err error) error {
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return err
	}
	at := string(semantic.JSONPointer)
	if at == "" {
		at = "the document"
	}
	if semantic.Err != nil {
		return fmt.Errorf("%s: %w", at, semantic.Err)
	}
	return fmt.Errorf("%s: a JSON %s is not what is wanted there", at, semantic.JSONKind)
}
