package affiliate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/events"
)

// counting is the key 00 01 02 … 1f.
func counting() []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	return key
}

func countingKey(t require.TestingT) affiliate.Key {
	key, err := affiliate.NewKey(counting())
	require.NoError(t, err)
	return key
}

// The wanted values are those of openssl:
// printf person-1 | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102… -binary | basenc --base64url
func TestPseudonymsAreThoseOfOpenSSL(t *testing.T) {
	for _, c := range []struct {
		key           []byte
		subject, want string
	}{
		{counting(), "person-1", "PFKXZk5kr9yd8wQVwlUweG3KFl0kHHWzEDnB3QBPFIE"},
		{counting(), "01HZXK7Q9V3M5R8T2W4Y6A0BCD", "roXdCT1CexdOoCNn1QbeC_TlEbY8JhTsZptteXnQr_w"},
		{bytes.Repeat([]byte{0xaa}, 131), "person-1", "gUQLTG-1aiPJRUpBPp7yNgCZDYn-WrAtTsBFv__TQWw"},
		{[]byte("0123456789abcdef0123456789abcdef"), "u:kz~42.x_y", "uJ8IvUvbSrFAb39BAg-8EH7G1zd9QvNTgU9ngQ1r-Kw"},
	} {
		key, err := affiliate.NewKey(c.key)
		require.NoError(t, err)
		subject, err := events.ParseSubject(c.subject)
		require.NoError(t, err)
		require.Equal(t, c.want, string(key.Pseudonym(subject)))
	}
}

func TestShortKeyIsRefused(t *testing.T) {
	_, err := affiliate.NewKey(counting()[:31])
	require.ErrorContains(t, err, "31 bytes")
}

func TestKeysAndPseudonymsMaskThemselves(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	key, err := affiliate.NewKey(secret)
	require.NoError(t, err)
	subject, err := events.ParseSubject("person-1")
	require.NoError(t, err)
	pseudonym := key.Pseudonym(subject)
	stop := affiliate.Stop{Partner: "acme", Pseudonyms: []affiliate.Pseudonym{pseudonym}}
	partner := affiliate.Partner{ID: "acme", Current: key}

	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key, "pseudonym", pseudonym, "stop", stop, "partner", partner)
	shown := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		shown += fmt.Sprintf(verb, key) + fmt.Sprintf(verb, pseudonym) + fmt.Sprintf(verb, stop) + fmt.Sprintf(verb, partner)
	}
	require.NotContains(t, shown, string(secret))
	require.NotContains(t, shown, fmt.Sprintf("%x", secret))
	require.NotContains(t, shown, string(pseudonym))
	require.NotContains(t, shown, fmt.Sprintf("%x", string(pseudonym)))

	text, err := json.Marshal(partner)
	require.NoError(t, err)
	require.NotContains(t, string(text), string(secret))
}
