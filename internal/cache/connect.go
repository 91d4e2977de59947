package cache

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options say where a Redis is.
type Options struct {
	Addrs      []string // host:port; of a cluster or of sentinels several
	Cluster    bool     // also when one address is given
	MasterName string   // of the primary, when Addrs are sentinels
	DB         int      // not for a cluster

	Username, Password                 string // of an ACL user
	SentinelUsername, SentinelPassword string
	TLS                                *tls.Config // nil: no TLS
}

// The waits of a client that writes. They are shorter than the three seconds
// after which answers turn stale, so that a node that hangs is given up before.
const (
	dialTimeout    = time.Second
	commandTimeout = 2 * time.Second
	poolTimeout    = 2 * time.Second
)

// poolSize is enough for the engine's two writers with their fillers, its refresher and the actions.
const poolSize = 16

// bufferSize of a connection: a live chunk of a batch is less than 60 KB, one of who
// is far behind two or three times that, and more than 128 KB gained nothing
// (go-redis, PipelineReadBufferSize).
const bufferSize = 64 << 10

// Connect returns a client with every setting that matters made explicit. It
// dials nothing yet. The caller closes it.
//
// Nothing is retried inside: a script that is sent twice must be the engine's
// decision, because it may have lost the partition in between. Deadlines of
// contexts bound commands. CLIENT MAINT_NOTIFICATIONS and CLIENT SETINFO are off:
// no plain Redis knows the first (go-redis issue 3536), nobody needs the second.
func Connect(o Options) (redis.UniversalClient, error) {
	if len(o.Addrs) == 0 {
		return nil, errors.New("redis: no address")
	}
	secure := o.TLS
	if secure != nil && secure.MinVersion < tls.VersionTLS12 {
		secure = secure.Clone()
		secure.MinVersion = tls.VersionTLS12
	}
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                    o.Addrs,
		IsClusterMode:            o.Cluster,
		MasterName:               o.MasterName,
		DB:                       o.DB,
		Username:                 o.Username,
		Password:                 o.Password,
		SentinelUsername:         o.SentinelUsername,
		SentinelPassword:         o.SentinelPassword,
		TLSConfig:                secure,
		Protocol:                 2, // pushes of RESP3 are of no use here
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		ContextTimeoutEnabled:    true,
		MaxRetries:               -1,
		DialTimeout:              dialTimeout,
		DialerRetries:            1,
		ReadTimeout:              commandTimeout,
		WriteTimeout:             commandTimeout,
		PoolTimeout:              poolTimeout,
		PoolSize:                 poolSize,
		PipelinePoolSize:         -1, // one pool is enough
		ReadBufferSize:           bufferSize,
		WriteBufferSize:          bufferSize,
	}), nil
}
