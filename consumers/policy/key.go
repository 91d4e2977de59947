package policy

import (
	"fmt"

	"github.com/kelisim/kelisim/consumers/internal/secret"
)

// Key hashes suppressed subjects: base64url(HMAC-SHA-256(key, subject)). It masks
// itself in every way of printing. The zero Key is none.
type Key struct{ secret.Key }

// NewKey returns the key with the given secret, of at least 32 random bytes.
func NewKey(text []byte) (Key, error) {
	k, err := secret.NewKey(text)
	return Key{k}, err
}

// LoadKey reads a key from a file, in base64 as "openssl rand -base64 32" prints
// it. No path is no key. No error holds anything of a key.
func LoadKey(path string) (Key, error) {
	k, err := secret.Source{File: path}.Read("", nil)
	if err != nil {
		return Key{}, fmt.Errorf("policy: key: %w", err)
	}
	return Key{k}, nil
}
