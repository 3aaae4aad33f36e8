package secret

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"pgregory.net/rapid"
)

// Strings of the Argon2 reference implementation (its src/test.c, version 0x13,
// Argon2id): password "password", salt "somesalt".
var reference = []struct {
	name, encoded string
}{
	{"64 MiB, two passes", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
	{"64 MiB, one pass", "$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$9qWtwbpyPd3vm1rB1GThgPzZ3/ydHL92zKL+15XZypg"},
	{"256 KiB, two passes", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"},
	{"256 KiB, two lanes", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
}

func TestReferenceHashes(t *testing.T) {
	pool := NewPool(PoolConfig{})
	for _, tt := range reference {
		t.Run(tt.name, func(t *testing.T) {
			for password, want := range map[string]bool{"password": true, "Password": false, "passwor": false} {
				if ok, err := pool.Verify(t.Context(), tt.encoded, password); ok != want || err != nil {
					t.Errorf("Verify(%q) = %v, %v, want %v", password, ok, err, want)
				}
			}
		})
	}
}

func TestHashWritesThePHCString(t *testing.T) {
	salt := []byte("0123456789abcdef")
	pool := NewPool(PoolConfig{Rand: bytes.NewReader(salt)})
	raw := base64.RawStdEncoding.EncodeToString
	want := "$argon2id$v=19$m=19456,t=2,p=1$" + raw(salt) + "$" + raw(argon2.IDKey([]byte("hunter2"), salt, 2, 19456, 1, 32))
	if got := mustHash(t, pool, "hunter2"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := pool.Hash(t.Context(), "hunter2"); err == nil {
		t.Error("hashed without a salt")
	}
}

func TestParseArgon2id(t *testing.T) {
	const (
		salt = "c29tZXNhbHQ"                                 // 8 bytes
		sum  = "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc" // 32 bytes
	)
	cost := func(c string) string { return "$argon2id$v=19$" + c + "$" + salt + "$" + sum }
	tests := []struct {
		name    string
		encoded string
		ok      bool
	}{
		{"ours", cost("m=19456,t=2,p=1"), true},
		{"four lanes", cost("m=65536,t=3,p=4"), true},
		{"the most memory", cost("m=262144,t=4,p=1"), true},
		{"the least memory", cost("m=8,t=1,p=1"), true},
		{"empty", "", false},
		{"only the prefix", "$argon2id$", false},
		{"argon2i", strings.Replace(cost("m=8,t=1,p=1"), "2id", "2i", 1), false},
		{"another case", strings.Replace(cost("m=8,t=1,p=1"), "argon", "Argon", 1), false},
		{"version 1.0", strings.Replace(cost("m=8,t=1,p=1"), "v=19", "v=16", 1), false},
		{"no version", strings.Replace(cost("m=8,t=1,p=1"), "v=19$", "", 1), false},
		{"4 GiB", cost("m=4194304,t=1,p=1"), false},
		{"4 GiB in 64 bits", cost("m=4294967296,t=1,p=1"), false},
		{"as much work, in passes", cost("m=262144,t=5,p=1"), false},
		{"many passes over little", cost("m=8,t=65,p=1"), false},
		{"memory below eight blocks a lane", cost("m=8,t=1,p=2"), false},
		{"no passes", cost("m=8,t=0,p=1"), false},
		{"no lanes", cost("m=8,t=1,p=0"), false},
		{"too many lanes", cost("m=1024,t=1,p=17"), false},
		{"lanes beyond a byte", cost("m=8,t=1,p=257"), false},
		{"another order", cost("t=1,m=8,p=1"), false},
		{"a parameter more", cost("m=8,t=1,p=1,keyid=AAAA"), false},
		{"a parameter less", cost("m=8,t=1"), false},
		{"leading zero", cost("m=08,t=1,p=1"), false},
		{"plus sign", cost("m=+8,t=1,p=1"), false},
		{"negative", cost("m=-8,t=1,p=1"), false},
		{"hexadecimal", cost("m=0x8,t=1,p=1"), false},
		{"underscore", cost("m=1_000,t=1,p=1"), false},
		{"space", cost("m=8, t=1,p=1"), false},
		{"trailing line break", cost("m=8,t=1,p=1") + "\n", false},
		{"line break in the salt", strings.Replace(cost("m=8,t=1,p=1"), "c29t", "c2\n9t", 1), false},
		{"padded", cost("m=8,t=1,p=1") + "=", false},
		{"bits beyond the last byte", strings.Replace(cost("m=8,t=1,p=1"), "PPc", "PPd", 1), false},
		{"URL base64", strings.Replace(cost("m=8,t=1,p=1"), "PPc", "_-c", 1), false},
		{"a part more", cost("m=8,t=1,p=1") + "$", false},
		{"no sum", "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$", false},
		{"15 byte sum", "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + strings.Repeat("AAAA", 5), false},
		{"16 byte sum", "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + strings.Repeat("AAAA", 5) + "AA", true},
		{"64 byte sum", "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + strings.Repeat("AAAA", 21) + "AA", true},
		{"65 byte sum", "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + strings.Repeat("AAAA", 21) + "AAA", false},
		{"7 byte salt", "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAA$" + sum, false},
		{"65 byte salt", "$argon2id$v=19$m=8,t=1,p=1$" + strings.Repeat("AAAA", 21) + "AAA$" + sum, false},
		{"endless", cost("m=8,t=1,p=1") + strings.Repeat("A", 1<<20), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := parseArgon2id(tt.encoded)
			switch {
			case !tt.ok && !errors.Is(err, ErrFormat):
				t.Errorf("error %v, want ErrFormat", err)
			case tt.ok && err != nil:
				t.Errorf("error %v", err)
			case tt.ok && h.String() != tt.encoded:
				t.Errorf("got  %s\nwant %s", h, tt.encoded)
			}
		})
	}
}

func TestParams(t *testing.T) {
	for _, p := range []Params{DefaultParams(), cheap, {64 << 10, 3, 4}, {maxMemory, 4, maxThreads}} {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	err := Params{Memory: 1 << 20, Time: 100}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"threads: 0", "time: 100", "memory: 1048576", "memory times time"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
}

func TestAnyPasswordIsVerifiedByItsOwnHashOnly(t *testing.T) {
	pool := NewPool(PoolConfig{Params: cheap})
	rapid.Check(t, func(rt *rapid.T) {
		password := rapid.StringN(1, 40, 100).Draw(rt, "password")
		other := rapid.StringN(1, 40, 100).Draw(rt, "other")
		encoded := mustHash(t, pool, password)
		if again := mustHash(t, pool, password); again == encoded {
			rt.Fatal("the same hash twice: no salt")
		}
		if pool.Outdated(encoded) {
			rt.Fatal("outdated already")
		}
		for _, given := range []string{password, other} {
			ok, err := pool.Verify(t.Context(), encoded, given)
			if err != nil || ok != (given == password) {
				rt.Fatalf("Verify = %v, %v", ok, err)
			}
		}
	})
}

// FuzzParseEncoded checks that what is accepted has one spelling and is within
// the bounds.
func FuzzParseEncoded(f *testing.F) {
	for _, r := range reference {
		f.Add(r.encoded)
	}
	f.Add("$argon2id$v=19$m=08,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$c29t\nZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, encoded string) {
		h, err := parseArgon2id(encoded)
		if err != nil {
			return
		}
		if h.String() != encoded {
			t.Errorf("%q is read as %q", encoded, h)
		}
		if err := h.params.Validate(); err != nil {
			t.Errorf("%q: %v", encoded, err)
		}
		if len(h.salt) < minSalt || len(h.salt) > maxSalt || len(h.sum) < minSum || len(h.sum) > maxSum {
			t.Errorf("%q: %d bytes of salt, %d of sum", encoded, len(h.salt), len(h.sum))
		}
	})
}
