package affiliate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"log/slog"

	"github.com/kelisim/kelisim/events"
)

// minKeyLen is the least length of a key, in bytes: that of the hash, below which
// HMAC is weaker than it could be (RFC 2104, section 3).
const minKeyLen = sha256.Size

// Key makes a partner's pseudonyms of subjects. It masks itself in every way of
// printing. The zero Key is none.
type Key struct{ secret string }

// NewKey returns the key with the given secret, of at least 32 random bytes.
func NewKey(secret []byte) (Key, error) {
	if len(secret) < minKeyLen {
		return Key{}, fmt.Errorf("key of %d bytes: want at least %d", len(secret), minKeyLen)
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

// Pseudonym is the id under which one partner knows a subject:
// base64url(HMAC-SHA-256(key, subject)), 43 characters without padding. Whoever
// holds no key of the partner can neither make nor reverse it, so two partners
// cannot join what they know. It stands for a person all the same, and masks
// itself when printed; convert it to a string to hand it to its partner.
type Pseudonym string

// Pseudonym returns the subject's pseudonym under the key.
func (k Key) Pseudonym(subject events.Subject) Pseudonym { return k.maker()(subject) }

// maker returns a function that makes pseudonyms one after another, cheaper than
// [Key.Pseudonym]: the key is hashed once.
func (k Key) maker() func(events.Subject) Pseudonym {
	mac := hmac.New(sha256.New, []byte(k.secret))
	var sum [sha256.Size]byte
	return func(subject events.Subject) Pseudonym { return pseudonym(mac, &sum, subject) }
}

func pseudonym(mac hash.Hash, sum *[sha256.Size]byte, subject events.Subject) Pseudonym {
	mac.Reset()
	_, _ = io.WriteString(mac, subject.Reveal()) // a hash never fails
	return Pseudonym(base64.RawURLEncoding.EncodeToString(mac.Sum(sum[:0])))
}

// String returns the masked form: nothing, for even a part of it would tell two
// of a partner's customers apart.
func (p Pseudonym) String() string { return "pseudonym(hidden)" }

// Format implements [fmt.Formatter], so that no verb prints the pseudonym.
func (p Pseudonym) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// LogValue implements [slog.LogValuer].
func (p Pseudonym) LogValue() slog.Value { return slog.StringValue(p.String()) }
