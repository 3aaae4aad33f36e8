package frame

import "testing"

func TestReturnCode(t *testing.T) {
	named := map[byte]byte{0x00: 0, 0x84: 1, 0x85: 2, 0x88: 3, 0x89: 3, 0x97: 3, 0x9F: 3, 0x86: 4}
	for reason := range 256 {
		want, ok := named[byte(reason)]
		if !ok {
			want = 5
		}
		if got := ReturnCode(byte(reason)); got != want {
			t.Errorf("%#02x: got %d, want %d", reason, got, want)
		}
	}
}
