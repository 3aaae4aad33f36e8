package registry

import "time"

// TokenID identifies a token; it is the jti of its JWT.
type TokenID string

// MaxTokenLabel bounds a token's label, in bytes.
const MaxTokenLabel = 255

// Token is a registered bearer token. The token itself is never stored; one
// that is not registered, or no longer, is refused however well it is signed.
type Token struct {
	ID          TokenID
	User        UserID
	Fingerprint string // SHA-256 of the token in lower-case hexadecimal
	Label       string
	Created     time.Time
	Expires     time.Time
}
