package affiliate_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/events"
)

// key returns a key of its own for each byte.
func key(t require.TestingT, b byte) affiliate.Key {
	k, err := affiliate.NewKey(bytes.Repeat([]byte{b}, 32))
	require.NoError(t, err)
	return k
}

func TestPartnersThatCannotBeServedAreRefused(t *testing.T) {
	good := affiliate.Partner{ID: "acme", Country: "KZ", Purposes: []events.Purpose{"contractors"}, Current: key(t, 1)}
	client := slotstest.Redis(t)
	for name, change := range map[string]func(*affiliate.Partner){
		"no id":               func(p *affiliate.Partner) { p.ID = "" },
		"id breaks keys":      func(p *affiliate.Partner) { p.ID = "a:b" },
		"no country":          func(p *affiliate.Partner) { p.Country = "" },
		"country in small":    func(p *affiliate.Partner) { p.Country = "kz" },
		"no purpose":          func(p *affiliate.Partner) { p.Purposes = nil },
		"border as a purpose": func(p *affiliate.Partner) { p.Purposes = []events.Purpose{"cross-border"} },
		"purpose twice":       func(p *affiliate.Partner) { p.Purposes = []events.Purpose{"contractors", "contractors"} },
		"no key":              func(p *affiliate.Partner) { p.Current = affiliate.Key{} },
		"border at home":      func(p *affiliate.Partner) { p.Border = "cross-border" },
		"border is no border": func(p *affiliate.Partner) { p.Country, p.Border = "NO", "contractors" },
		"purpose unnamed":     func(p *affiliate.Partner) { p.Purposes = []events.Purpose{""} },
		"border as own use": func(p *affiliate.Partner) {
			p.Country, p.Border, p.Purposes = "NO", "loyalty", []events.Purpose{"loyalty"}
		},
		"rotated to itself": func(p *affiliate.Partner) { p.Previous = p.Current },
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			change(&bad)
			_, err := affiliate.New(client, events.SeedRules(), []affiliate.Partner{bad}, nil)
			require.Error(t, err)
			require.NotContains(t, err.Error(), string(bytes.Repeat([]byte{1}, 8)))
		})
	}
	other := good
	_, err := affiliate.New(client, events.SeedRules(), []affiliate.Partner{good, other}, nil)
	require.ErrorContains(t, err, "twice")
	other.ID, other.Current, other.Previous = "other", key(t, 2), good.Current
	_, err = affiliate.New(client, events.SeedRules(), []affiliate.Partner{good, other}, nil)
	require.ErrorContains(t, err, "in common")
	_, err = affiliate.New(client, events.SeedRules(), make([]affiliate.Partner, affiliate.MaxPartners+1), nil)
	require.ErrorContains(t, err, "at most")
	other = affiliate.Partner{ID: "other", Country: "NO", Border: "loyalty", Purposes: good.Purposes, Current: key(t, 2)}
	good.Purposes = []events.Purpose{"loyalty"}
	_, err = affiliate.New(client, events.SeedRules(), []affiliate.Partner{good, other}, nil)
	require.ErrorContains(t, err, `"loyalty" is named as a border, and as what data is used for`)
	_, err = affiliate.New(client, events.SeedRules(), nil, nil)
	require.NoError(t, err)
}

const partnersFile = `
partners:
  - id: acme-ads
    country: KZ
    purposes: [contractors, partner-contracts]
    keys:
      current: {file: keys/acme}
      previous: {env: ACME_OLD_KEY}
  - id: overseas
    country: DE
    border: cross-border-overseas
    purposes: [partner-contracts]
    keys:
      current: {env: OVERSEAS_KEY}
`

func TestPartnersAreLoadedWithTheirKeys(t *testing.T) {
	dir := t.TempDir()
	encoded := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }
	require.NoError(t, os.Mkdir(filepath.Join(dir, "keys"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keys", "acme"), []byte(encoded(1)+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "partners.yaml"), []byte(partnersFile), 0o600))
	env := map[string]string{"ACME_OLD_KEY": encoded(2), "OVERSEAS_KEY": encoded(3)}

	got, err := affiliate.LoadPartners(filepath.Join(dir, "partners.yaml"), func(name string) string { return env[name] })
	require.NoError(t, err)
	require.Equal(t, []affiliate.Partner{
		{
			ID: "acme-ads", Country: "KZ", Purposes: []events.Purpose{"contractors", "partner-contracts"},
			Current: key(t, 1), Previous: key(t, 2),
		},
		{ID: "overseas", Country: "DE", Border: "cross-border-overseas", Purposes: []events.Purpose{"partner-contracts"}, Current: key(t, 3)},
	}, got)
	require.False(t, got[0].Abroad())
	require.True(t, got[1].Abroad())
}

func TestBadPartnersFileIsRefusedWithoutShowingAKey(t *testing.T) {
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA=="
	entry := func(keys string) string {
		return "partners: [{id: acme, country: KZ, purposes: [contractors], keys: " + keys + "}]"
	}
	for name, text := range map[string]string{
		"unknown name":     entry("{current: {env: KEY}}, colour: red"),
		"key in the file":  entry("{current: " + secret + "}"),
		"key by mistake":   entry("{current: {value: " + secret + "}}"),
		"no such file":     entry("{current: {file: nowhere}}"),
		"no such variable": entry("{current: {env: NOWHERE}}"),
		"both places":      entry("{current: {env: KEY, file: nowhere}}"),
		"not base64":       entry("{current: {env: RAW}}"),
		"too short":        entry("{current: {env: SHORT}}"),
		"no current key":   entry("{previous: {env: KEY}}"),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "partners.yaml")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			env := map[string]string{"KEY": secret, "RAW": "not base64 at all!", "SHORT": "c2hvcnQ="}
			_, err := affiliate.LoadPartners(path, func(name string) string { return env[name] })
			require.Error(t, err)
			for _, part := range []string{secret[:6], "not base64 at", "c2hvcnQ="} {
				require.NotContains(t, err.Error(), part)
			}
		})
	}
	_, err := affiliate.LoadPartners(filepath.Join(t.TempDir(), "absent.yaml"), os.Getenv)
	require.ErrorIs(t, err, os.ErrNotExist)
}
