package registry

import "time"

// TrustPath is one way from a client certificate up to a CA that may be trusted. A
// certificate can have several: by an old and a new root, or by a cross certificate.
type TrustPath struct {
	Anchor   string    // the CA, as TrustedAnchors knows it
	NotAfter time.Time // when the first certificate below the CA ends
}

// TrustedAnchors tells which CAs are trusted now.
type TrustedAnchors interface {
	// Until returns when a CA ends, by its name in a TrustPath. ok is false when it
	// is not trusted, or not any more.
	Until(anchor string) (end time.Time, ok bool)
}

// trustedUntil returns the latest end of the paths whose CA is trusted, the zero time
// when there is none. A nil anchors trusts nothing.
func trustedUntil(paths []TrustPath, anchors TrustedAnchors) (last time.Time) {
	if anchors == nil {
		return last
	}
	for _, p := range paths {
		until, ok := anchors.Until(p.Anchor)
		if !ok {
			continue
		}
		if end := Earliest(p.NotAfter, until); end.After(last) {
			last = end
		}
	}
	return last
}
