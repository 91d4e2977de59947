package roles

import (
	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/marketing"
)

// Role is one of the services that a process can be.
type Role struct {
	Name  string // of the service, the command and the keys in Redis
	Short string // one sentence for people

	service func(*Platform, redis.UniversalClient) (consumers.Service, error)
}

// All returns the roles, in the order in which people list them.
func All() []Role {
	return []Role{
		{Name: marketing.Name, Short: "Take people out of audiences and send queues", service: marketingService},
	}
}

func marketingService(p *Platform, client redis.UniversalClient) (consumers.Service, error) {
	action, err := marketing.New(client, p.Rules, nil)
	if err != nil {
		return consumers.Service{}, err
	}
	return marketing.Service(action), nil
}
