// Package deploy holds what a deployment of Kelisim consists of beside its programs: the topics, the Redis settings, and
// a compose file that starts them together with Kafka. The files are embedded, so that the development command, the tests
// and the tools read the same ones.
//
// It creates nothing itself and imports nothing of ours.
package deploy

import (
	_ "embed"
	"slices"
)

//go:embed redis.conf
var redisConf []byte

// RedisConf returns redis.conf, the settings under which Redis may hold consent.
func RedisConf() []byte { return slices.Clone(redisConf) }
