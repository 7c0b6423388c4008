package doctor

import (
	"fmt"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

// checkSchema says whether the ledger has to be upgraded, and which nodes know too old a
// schema.
func checkSchema(seen engine.Peeked) Finding {
	const check = name("ledger")
	var old []string
	for _, i := range seen.Instances {
		if i.Schema < seen.Schema {
			old = append(old, i.String())
		}
	}
	names, known := strings.Join(old[:min(len(old), 5)], ", "), ledger.Schema()
	switch {
	case seen.Schema == 0:
		return check.ok("there is none yet: the node makes it when it starts")
	case seen.Schema == sqlite.MovedSchema:
		return check.failure("it was moved to PostgreSQL", "set RUNNERBEAN_LEDGER to the URL of that database")
	case seen.Schema > known:
		return check.failure(fmt.Sprintf("it has schema %d, and this program knows %d", seen.Schema, known), "use the version of the program that upgraded it; to go back see \"Upgrading\" in docs/operations.md")
	case seen.Schema < known && len(old) > 0:
		return check.warning(fmt.Sprintf("it has schema %d and has to be upgraded to %d; not stopped in good order: %s, which cannot follow an upgrade", seen.Schema, known, names),
			"stop these nodes; the next start of a node upgrades the ledger, or runnerbean migrate --wait 10m")
	case seen.Schema < known:
		return check.warning(fmt.Sprintf("it has schema %d and has to be upgraded to %d", seen.Schema, known), "the next start of a node does it, or runnerbean migrate; see \"Upgrading\" in docs/operations.md")
	case len(old) > 0:
		return check.warning(fmt.Sprintf("it has schema %d, which the programs of these nodes do not know: %s", seen.Schema, names),
			"stop those that still run, and start the new version: they can take no work")
	}
	return check.ok(fmt.Sprintf("it has schema %d, as this program", seen.Schema))
}
