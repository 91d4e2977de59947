package main

import (
	"context"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

// The partners' file may be ahead of the policy. The service becomes ready, says for
// whom and what nothing is given, and says no more once a version has it.
func TestAPartnerNamedForWhatNoVersionHasIsSaidAndStopsNoStart(t *testing.T) {
	kafka, redis := testenv.Kafka(t), testenv.Redis(t)
	policies := testpolicy.NewTopic(t, kafka, testpolicy.Seed(t))
	file := filepath.Join(t.TempDir(), "partners.yaml")
	require.NoError(t, os.WriteFile(file, []byte(
		`partners: [{id: airline, country: KZ, purposes: [contractors, loyalty], keys: {current: {env: AIRLINE}}}]`), 0o600))
	args := []string{
		"affiliate", "--kafka-brokers", kafka.Addr(), "--redis-addrs", redis.Addr(), "--admin-addr", "127.0.0.1:0", "--affiliate-partners-file", file,
		"--topics-events", kafka.Deployed(t, deploy.EventsTopic, 2), "--topics-policies", policies,
		"--topics-parked", kafka.Deployed(t, deploy.ParkedTopic, 1), "--topics-receipts", kafka.Deployed(t, deploy.ReceiptsTopic, 1),
	}
	ctx, cancel := context.WithCancel(t.Context())
	var logged output
	ended := make(chan error, 1)
	key := "AIRLINE=" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	go func() { ended <- run(ctx, args, []string{key}, io.Discard, &logged) }()
	metrics := func(want string) func() bool {
		return func() bool {
			m := regexp.MustCompile(`"admin":"([^"]+)"`).FindStringSubmatch(logged.String())
			if m == nil {
				return false
			}
			_, all := get(t, m[1], "/metrics")
			return regexp.MustCompile(want).MatchString(all)
		}
	}
	require.Eventually(t, metrics(`consent_staleness_seconds{partition="1",service="affiliate"} [0-2](\.|\n)`), 30*time.Second, 10*time.Millisecond)
	require.Eventually(t, metrics(`consent_partner_gaps 1\n`), 30*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		return strings.Contains(logged.String(), `partner airline is given nothing for \"loyalty\": purpose: no version of the policy names affiliate for it`)
	}, 30*time.Second, 10*time.Millisecond)

	testpolicy.Publish(t, kafka, policies, testpolicy.Version(t, "loyal", time.Now(), func(c *policy.Catalogue) {
		loyalty := c.Purposes[1]
		loyalty.Code, loyalty.Name = 20, "loyalty"
		c.Purposes = append(c.Purposes, loyalty)
	}))
	require.Eventually(t, metrics(`consent_partner_gaps 0\n`), 30*time.Second, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-ended, logged.String())
	require.Equal(t, 1, strings.Count(logged.String(), "partner named for what"), logged.String())
}
