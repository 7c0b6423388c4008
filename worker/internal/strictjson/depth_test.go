package strictjson

import "testing"

// FuzzDepthMeter reads text at once and byte by byte.
func FuzzDepthMeter(f *testing.F) {
	for _, seed := range []string{`{"a\"":[1,"\\",{"b":"]"}]}`, `"\`, `"\\"[`, `"a"b"\"c{`, `]]]"`, `"\u0022\"\\\"`, `""""\"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var whole, pieces depthMeter
		err := whole.add(text)
		var pieceErr error
		for i := 0; i < len(text) && pieceErr == nil; i++ {
			pieceErr = pieces.add(text[i : i+1])
		}
		if err != pieceErr || err == nil && whole != pieces {
			t.Errorf("%q: depth %d quoted %t escaped %t %v at once, depth %d quoted %t escaped %t %v byte by byte",
				text, whole.depth, whole.quoted, whole.escaped, err, pieces.depth, pieces.quoted, pieces.escaped, pieceErr)
		}
	})
}
