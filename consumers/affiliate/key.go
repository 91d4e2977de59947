package affiliate

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/kelisim/kelisim/consumers/internal/secret"
	"github.com/kelisim/kelisim/events"
)

// Key makes a partner's pseudonyms of subjects. It masks itself in every way of
// printing. The zero Key is none.
type Key struct{ secret.Key }

// NewKey returns the key with the given secret, of at least 32 random bytes.
func NewKey(text []byte) (Key, error) {
	k, err := secret.NewKey(text)
	return Key{k}, err
}

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
	hash := k.Hasher()
	return func(subject events.Subject) Pseudonym { return Pseudonym(hash(subject)) }
}

// String returns the masked form: nothing, for even a part of it would tell two
// of a partner's customers apart.
func (p Pseudonym) String() string { return "pseudonym(hidden)" }

// Format implements [fmt.Formatter], so that no verb prints the pseudonym.
func (p Pseudonym) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// LogValue implements [slog.LogValuer].
func (p Pseudonym) LogValue() slog.Value { return slog.StringValue(p.String()) }
