package ca

import (
	"cmp"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Reason says why a certificate was revoked (RFC 5280 section 5.3.1).
type Reason int

// The reasons that apply to a device's certificate. Unspecified stands for none.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	PrivilegeWithdrawn   Reason = 9
)

// String returns the name of the reason in RFC 5280.
func (r Reason) String() string {
	switch r {
	case Unspecified:
		return "unspecified"
	case KeyCompromise:
		return "keyCompromise"
	case AffiliationChanged:
		return "affiliationChanged"
	case Superseded:
		return "superseded"
	case CessationOfOperation:
		return "cessationOfOperation"
	case PrivilegeWithdrawn:
		return "privilegeWithdrawn"
	default:
		return fmt.Sprintf("reason %d", int(r))
	}
}

func (r Reason) valid() bool {
	switch r {
	case Unspecified, KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn:
		return true
	default:
		return false
	}
}

// Revoked is an entry of a CRL.
type Revoked struct {
	Serial *big.Int
	At     time.Time
	Reason Reason
}

// CRL returns a certificate revocation list (DER, RFC 5280 section 5) with the
// entries revoked, which may be in any order; of a serial number that is there twice
// the earlier revocation counts. number must grow with each list. The list is valid
// from five minutes before now until Config.CRLLife after now; what was revoked within
// these minutes is dated to their beginning, as no entry may be younger than its list.
//
// The caller may leave out a certificate once a list issued after its expiry has
// named it (section 3.3). An authority that has expired still signs.
func (a *Authority) CRL(revoked []Revoked, number uint64, now time.Time) ([]byte, error) {
	start := now.Add(-backdate)
	entries := make([]x509.RevocationListEntry, 0, len(revoked))
	for _, r := range revoked {
		if !validSerial(r.Serial) || !r.Reason.valid() || r.At.IsZero() {
			return nil, fmt.Errorf("ca: CRL: entry with serial %v, reason %d, time %v is not valid", r.Serial, r.Reason, r.At)
		}
		entries = append(entries, x509.RevocationListEntry{SerialNumber: r.Serial, RevocationTime: earlier(r.At, start), ReasonCode: int(r.Reason)})
	}
	slices.SortFunc(entries, func(x, y x509.RevocationListEntry) int {
		return cmp.Or(x.SerialNumber.Cmp(y.SerialNumber), x.RevocationTime.Compare(y.RevocationTime))
	})
	entries = slices.CompactFunc(entries, func(x, y x509.RevocationListEntry) bool {
		return x.SerialNumber.Cmp(y.SerialNumber) == 0
	})
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		RevokedCertificateEntries: entries,
		Number:                    new(big.Int).SetUint64(number),
		ThisUpdate:                start,
		NextUpdate:                now.Add(a.cfg.CRLLife),
	}, a.chain[0], a.key)
	if err != nil {
		return nil, fmt.Errorf("ca: CRL: %w", err)
	}
	return der, nil
}
