package program

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// registration is the answer of the register endpoint, in all its forms.
type registration struct {
	Status         string `json:"status"`
	PairingCode    string `json:"pairingCode"`
	Certificate    string `json:"certificate"`
	CACertificates string `json:"caCertificates"`
	Message        string `json:"message"`
}

// What a registration may come to, beside what the endpoint says itself.
const (
	granted = "granted"
	busy    = "busy"
	away    = "away" // nothing answers, or what does speaks for a server that is not there
)

// asker asks a server for a registration.
type asker struct {
	client *http.Client
	where  string
	body   []byte

	username, password string // of a user that exists; no password: there is none yet

	first  time.Duration // to wait when the server is not there
	missed int           // times in a row that it was not there
}

// usualWait is how long to wait when the server does not say.
const usualWait = 5 * time.Second

// ask sends the request once and returns the answer and when to ask again. A server that
// is busy, or is not there, is asked again: devices begin before their servers do, and
// servers are restarted.
func (a *asker) ask(ctx context.Context) (registration, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.where, bytes.NewReader(a.body))
	if err != nil {
		return registration{}, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if a.password != "" {
		req.SetBasicAuth(a.username, a.password)
	}
	res, err := a.client.Do(req)
	if err != nil {
		return a.miss(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	switch {
	case err != nil:
		return a.miss(err)
	case res.StatusCode >= http.StatusInternalServerError && res.StatusCode != http.StatusServiceUnavailable:
		return a.miss(errors.New(res.Status))
	}
	a.missed = 0
	answer, err := a.understand(res, text)
	return answer, waitOf(res), err
}

// miss is the answer of a server that is not there, unless err is one that time does
// not heal.
func (a *asker) miss(err error) (registration, time.Duration, error) {
	if lasting(err) {
		return registration{}, 0, err
	}
	if e, ok := errors.AsType[*url.Error](err); ok { // which repeats method and URL
		err = e.Err
	}
	wait := backoff(a.first, a.missed)
	a.missed++
	return registration{Status: away, Message: err.Error()}, wait, nil
}

// lasting reports whether an error comes of how client or server are set up.
func lasting(err error) bool {
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	return distrusted || noTLS || errors.Is(err, http.ErrSchemeMismatch)
}

// backoff returns how long to wait after so many tries before: twice as long each time, to
// half a minute, and within a half of that by chance, so that a fleet does not ask at once.
func backoff(first time.Duration, before int) time.Duration {
	const longest = 30 * time.Second
	wait := longest
	if before < 16 {
		wait = min(first<<before, longest)
	}
	return wait/2 + rand.N(wait/2+1) // #nosec G404 -- spreads load
}

// waitOf returns how long the server asks to wait.
func waitOf(res *http.Response) time.Duration {
	if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
		return min(time.Duration(n)*time.Second, time.Minute)
	}
	return usualWait
}

// understand reads an answer, or says why there will be no other.
func (a *asker) understand(res *http.Response, text []byte) (registration, error) {
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return registration{Status: busy}, nil // perhaps in the words of a proxy
	default:
	}
	var answer registration
	if err := json.Unmarshal(text, &answer); err != nil {
		return registration{}, fmt.Errorf("the server's answer (%s) is not understood: %w", res.Status, err)
	}
	switch res.StatusCode {
	case http.StatusCreated, http.StatusAccepted, http.StatusLocked:
		if a.password != "" && res.StatusCode == http.StatusCreated {
			answer.Status = granted // nobody else has a say
		}
		return answer, nil
	default:
	}
	if a.password != "" {
		return registration{}, fmt.Errorf("the server refuses: %s", answer.Message)
	}
	switch res.StatusCode {
	case http.StatusForbidden:
		return registration{}, errors.New("an operator refused the registration")
	case http.StatusConflict:
		return registration{}, fmt.Errorf("%s: another device has this user name, or asked for it; with the password of the user, give --password-file", answer.Message)
	default:
		return registration{}, fmt.Errorf("the server refuses: %s", answer.Message)
	}
}
