package registry

import "time"

// SealedAuthority is one generation of our certificate authority as it is
// stored. The highest generation issues; those before it go on signing the CRL
// and the OCSP answers about what they issued.
type SealedAuthority struct {
	Generation uint64 // from 1
	Chain      string // PEM: the issuing certificate, those above it, the root
	Key        []byte // sealed: the issuing key
	RootKey    []byte // sealed: with it the next generation is made; empty for an imported one
	Created    time.Time
}
