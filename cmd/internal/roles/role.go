package roles

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/consumers/snapshots"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/events"
)

// Role is one of the services that a process can be.
type Role struct {
	Name  string // of the service, the command and the keys in Redis
	Short string // one sentence for people

	service func(*Platform, *events.Rules, redis.UniversalClient) (consumers.Service, error)
	beside  func(*Platform, redis.UniversalClient) (func(context.Context) error, error) // what runs beside the engine, if anything
}

// All returns the roles, in the order in which people list them.
func All() []Role {
	return append(Asked(),
		Role{Name: snapshots.Name, Short: "Keep the newest state of every subject in a topic, for rebuilds", service: snapshotsService})
}

// Asked returns the roles whose caches guards ask.
func Asked() []Role {
	return []Role{
		{Name: marketing.Name, Short: "Take people out of audiences and send queues", service: marketingService},
		{Name: targeting.Name, Short: "Forget profiles and segments", service: targetingService},
		{Name: affiliate.Name, Short: "Close partners' pseudonyms and queue a stop for each partner", service: affiliateService, beside: affiliateBeside},
		{Name: policy.Name, Short: "Keep the policy's calendar: acceptance by use, retention, reviews", service: policyService, beside: policyBeside},
	}
}

func marketingService(_ *Platform, rules *events.Rules, client redis.UniversalClient) (consumers.Service, error) {
	action, err := marketing.New(client, rules, nil)
	if err != nil {
		return consumers.Service{}, err
	}
	return marketing.Service(action), nil
}

func targetingService(_ *Platform, rules *events.Rules, client redis.UniversalClient) (consumers.Service, error) {
	action, err := targeting.New(client, rules, nil)
	if err != nil {
		return consumers.Service{}, err
	}
	return targeting.Service(action), nil
}
