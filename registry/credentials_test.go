package registry_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/registrytest"
)

func TestParseFingerprint(t *testing.T) {
	plain := strings.Repeat("0123456789abcdef", 4)
	colons := strings.ToUpper(plain[:2])
	for i := 2; i < len(plain); i += 2 {
		colons += ":" + strings.ToUpper(plain[i:i+2])
	}
	for name, tt := range map[string]struct {
		in string
		ok bool
	}{
		"plain":                     {plain, true},
		"upper case with colons":    {colons, true},
		"one digit short":           {plain[1:], false},
		"one byte long":             {plain + "00", false},
		"half a byte more":          {plain + "0", false},
		"dashes":                    {strings.ReplaceAll(colons, ":", "-"), false},
		"a look-alike digit":        {"\uff10" + plain[1:], false},
		"not hexadecimal":           {strings.Repeat("xy", 32), false},
		"empty":                     {"", false},
		"very long":                 {strings.Repeat(":", 1<<20), false},
		"a SHA-1":                   {plain[:40], false},
		"white space":               {" " + plain, true},
		"openssl's label before it": {"sha256 Fingerprint=" + colons, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := registry.ParseFingerprint(tt.in)
			if tt.ok && (err != nil || got != plain) {
				t.Errorf("got %q, %v", got, err)
			}
			if !tt.ok {
				registrytest.WantField(t, name, err, registry.Invalid, "fingerprint")
			}
		})
	}
}

// FuzzParseFingerprint checks that what is accepted has one spelling.
func FuzzParseFingerprint(f *testing.F) {
	f.Add(strings.Repeat("AB:", 31) + "CD")
	f.Add(strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := registry.ParseFingerprint(s)
		if err != nil {
			return
		}
		if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(got) {
			t.Fatalf("%q became %q", s, got)
		}
		if again, err := registry.ParseFingerprint(got); err != nil || again != got {
			t.Errorf("%q became %q, %v", got, again, err)
		}
	})
}

func TestTokensEndWhenTheirTimeIsUp(t *testing.T) {
	r := registrytest.New(t)
	r.User("gateway")
	login, err := r.Login("gateway", "gateway-secret")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = r.Service.IssueToken(t.Context(), login, -time.Second, "")
	registrytest.WantField(t, "negative life", err, registry.Invalid, "life")
	_, _, err = r.Service.IssueToken(t.Context(), login, 876_001*time.Hour, "")
	registrytest.WantField(t, "life beyond the limit", err, registry.Invalid, "life")
	_, _, err = r.Service.IssueToken(t.Context(), login, 0, strings.Repeat("l", 256))
	registrytest.WantField(t, "label too long", err, registry.Invalid, "label")

	raw, tok, err := r.Service.IssueToken(t.Context(), login, 30*time.Minute, "script")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.SignIn.Token(t.Context(), raw); err != nil {
		t.Errorf("fresh token: %v", err)
	}
	r.Turn(31 * time.Minute)
	_, err = r.SignIn.Token(t.Context(), raw)
	registrytest.WantCode(t, "past its time", err, registry.Unauthenticated)
	if n, err := r.Service.SweepTokens(t.Context()); err != nil || n != 1 {
		t.Errorf("swept %d, %v: want 1", n, err)
	}
	if alive, err := r.Service.TokenAlive(t.Context(), tok.ID); err != nil || alive {
		t.Errorf("alive %v, %v", alive, err)
	}
}

func TestACertificateThatHasExpiredIsNotRegistered(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	for i, tt := range []struct {
		name    string
		expires time.Time
		code    registry.Code
	}{
		{"expired long ago", r.Now().Add(-240 * time.Hour), registry.Invalid},
		{"expired just now", r.Now(), registry.Invalid},
		{"about to expire", r.Now().Add(time.Minute), ""},
		{"without an end", time.Time{}, ""},
	} {
		field := registry.Field("")
		if tt.code != "" {
			field = registry.FieldFingerprint
		}
		names := []string{"new-" + string(rune('a'+i)), "old-" + string(rune('a'+i))}
		spec := func(n int) registry.FingerprintSpec {
			return registry.FingerprintSpec{Fingerprint: strings.Repeat(string(rune('0'+2*i+n)), 64), Expires: tt.expires}
		}
		_, _, err := r.Service.CreateUser(ctx, r.Admin, registry.UserSpec{
			Username: names[0], Provider: registry.ProviderLocal, Certificates: []registry.FingerprintSpec{spec(0)},
		})
		registrytest.WantField(t, tt.name+", with a new user", err, tt.code, field)
		_, err = r.Service.AddFingerprint(ctx, r.Admin, r.User(names[1]).ID, spec(1))
		registrytest.WantField(t, tt.name+", for a user who is there", err, tt.code, field)
	}
}
