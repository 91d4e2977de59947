package roles

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/events"
)

func affiliateService(p *Platform, rules *events.Rules, client redis.UniversalClient) (consumers.Service, error) {
	action, err := affiliate.New(client, rules, p.Partners, nil)
	if err != nil {
		return consumers.Service{}, err
	}
	return affiliate.Service(action), nil
}

// affiliateBeside returns what the role does beside following the log: by each edition
// of the policy it says what partners are named for and given nothing. A version may
// still come that has it, so the service goes on.
func affiliateBeside(p *Platform, _ redis.UniversalClient) (func(context.Context) error, error) {
	gaps := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "consent_partner_gaps", Help: "Purposes of partners for which nothing is given, because no version of the policy names affiliate for them or their border.",
	}, func() float64 { return float64(len(affiliate.Gaps(p.Policy.Current().Book, p.Partners))) })
	if err := p.Registry.Register(gaps); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return func(ctx context.Context) error {
		for {
			edition := p.Policy.Current()
			for _, gap := range affiliate.Gaps(edition.Book, p.Partners) {
				p.Logger.Warn("partner named for what the policy does not have", "service", affiliate.Name, "policy", string(edition.Version), "err", gap)
			}
			select {
			case <-p.Policy.Superseded(edition):
			case <-ctx.Done():
				return nil
			}
		}
	}, nil
}
