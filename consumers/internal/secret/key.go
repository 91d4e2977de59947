// Package secret holds the keys with which a service turns subjects into hashes
// that nobody else can make: HMAC-SHA-256 under a key that stands in a file or in
// the environment, never in a configuration.
//
// What a hash is good for is left to the services, which alone call it.
package secret

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"

	"github.com/kelisim/kelisim/events"
)

// MinLen is the least length of a key, in bytes: that of the hash, below which
// HMAC is weaker than it could be (RFC 2104, section 3).
const MinLen = sha256.Size

// Key hashes subjects. It masks itself in every way of printing. The zero Key is
// none.
type Key struct{ secret string }

// NewKey returns the key with the given secret, of at least 32 random bytes.
func NewKey(secret []byte) (Key, error) {
	if len(secret) < MinLen {
		return Key{}, fmt.Errorf("key of %d bytes: want at least %d", len(secret), MinLen)
	}
	return Key{string(secret)}, nil
}

// IsZero says whether k is no key.
func (k Key) IsZero() bool { return k.secret == "" }

// String returns the masked form.
func (k Key) String() string {
	if k.IsZero() {
		return "key(none)"
	}
	return "key(hidden)"
}

// Format implements [fmt.Formatter], so that no verb prints the secret.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue implements [slog.LogValuer].
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Hasher returns a function that hashes subjects one after another:
// base64url(HMAC-SHA-256(key, subject)), 43 characters without padding. It is for
// one goroutine.
func (k Key) Hasher() func(events.Subject) string {
	mac := hmac.New(sha256.New, []byte(k.secret)) // the key is hashed once
	var sum [sha256.Size]byte
	return func(subject events.Subject) string {
		mac.Reset()
		_, _ = io.WriteString(mac, subject.Reveal()) // a hash never fails
		return base64.RawURLEncoding.EncodeToString(mac.Sum(sum[:0]))
	}
}
