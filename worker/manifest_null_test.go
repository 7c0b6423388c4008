package worker

import "testing"

// TestNullInManifest: whoever writes program.json with a library may get null for
// what is not set.
func TestNullInManifest(t *testing.T) {
	t.Parallel()
	m, err := decodeManifest([]byte(`{"description":null,"input":null,"result":null,"timeout":null,"attempts":null,"stall":null,
		"memory":null,"scratch":null,"environment":null,"deterministic":null}`))
	if err != nil || m.input != nil || m.result != nil || m.Stall != nil || m.Timeout != 0 || m.Memory != 0 || m.Environment != nil {
		t.Errorf("%+v, %v", m, err)
	}
}
