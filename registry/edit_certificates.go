package registry

import (
	"context"
	"errors"
)

// changeCertificates keeps the rules for the certificates that a user gets and loses
// with a change. What a user loses is noted: it signs nobody in by its name until it
// is registered again.
func (e *Edit) changeCertificates(ctx context.Context, before, after *User) error {
	for _, f := range after.Fingerprints {
		if before.hasFingerprint(f.SHA256) {
			continue
		}
		if err := e.mayRegister(ctx, after, f.SHA256); err != nil {
			return err
		}
		if err := e.tx.ReadmitCertificate(ctx, f.SHA256); err != nil {
			return err
		}
	}
	for _, f := range before.Fingerprints {
		if after.hasFingerprint(f.SHA256) {
			continue
		}
		if err := e.tx.RemoveCertificate(ctx, f.SHA256, e.now); err != nil {
			return err
		}
	}
	if len(after.Fingerprints) > 0 {
		after.Pinned = true
	}
	return e.mayUnpin(before, after)
}

// mayUnpin returns Forbidden when users free themselves from having to show a
// registered certificate: whoever has stolen a password could do that.
func (e *Edit) mayUnpin(before, after *User) error {
	if before.Pinned && !after.Pinned && e.isSelf(after.ID) && !e.hasAllRights() {
		return Errorf(Forbidden, FieldPinned, "can be changed by another user only")
	}
	return nil
}

// mayRegister says why a certificate must not become that of a user. It returns
// Conflict for one of our own authority that is revoked or another user's, no
// fingerprint brings it back, and for one that a trust anchor gives to another user by
// its name. A fingerprint proves nothing, for everybody may know it: it returns
// Forbidden to callers without all rights who register for themselves what they have
// not shown with the request, or what was removed before.
func (e *Edit) mayRegister(ctx context.Context, u *User, fp string) error {
	c, err := e.tx.IssuedByFingerprint(ctx, fp)
	switch {
	case errors.Is(err, NotFound):
		return e.mayRegisterForeign(ctx, u, fp)
	case err != nil:
		return err
	case !c.Revoked.IsZero():
		return Errorf(Conflict, FieldFingerprint, "is that of a certificate that was revoked")
	case c.User != u.ID:
		return Errorf(Conflict, FieldFingerprint, "is that of a certificate that was issued to another user")
	}
	return nil
}

// mayRegisterForeign is mayRegister for a certificate that we did not issue.
func (e *Edit) mayRegisterForeign(ctx context.Context, u *User, fp string) error {
	shown := e.caller.shown(fp)
	if shown != nil && shown.Trusted && shown.CommonName != u.Username {
		_, err := e.tx.UserByName(ctx, shown.CommonName)
		if err == nil {
			return Errorf(Conflict, FieldFingerprint, "is that of a certificate that names another user")
		}
		if ignoreNotFound(err) != nil {
			return err
		}
	}
	if !e.isSelf(u.ID) || e.hasAllRights() {
		return nil
	}
	if shown == nil {
		return Errorf(Forbidden, FieldFingerprint, "proves nothing: send this request over TLS with the certificate itself, or have another user register it")
	}
	removed, err := e.tx.CertificateRemoved(ctx, fp)
	if err == nil && removed {
		err = Errorf(Forbidden, FieldFingerprint, "is that of a certificate that was removed: another user must register it again")
	}
	return err
}

// shown returns the certificate with this fingerprint if the caller has shown it with
// the request, nil if not.
func (c *Caller) shown(fp string) *Certificate {
	if c.Certificate == nil || c.Certificate.SHA256 != fp {
		return nil
	}
	return c.Certificate
}
