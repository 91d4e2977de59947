package doctor

// Checks returns all checks, in the order in which a pipeline is built.
func Checks() []Check {
	return []Check{
		{"topics", "topics that are missing, or not as deploy/topics.yaml says: partitions, replicas, every setting", checkTopics},
		{"stray-topics", "topics that look like ours, hold records, and are read by nobody", checkStray},
		{"replicas", "partitions without a leader, that refuse writes, or that have too few copies", checkReplicas},
		{"acls", "who may write, change or delete what is not theirs; no rules at all", checkACLs},
		{"links", "clear text beyond a host, TLS before 1.2, certificates near their end", checkLinks},
		{"append-time", "records that carry their producer's time", checkAppendTime},
		{"placement", "producers whose partitioner is not murmur2 of the key", checkPlacement},
		{"schemas", "producers whose events drifted from their schema", checkSchemas},
		{"producer-clocks", "producers whose clock runs ahead", checkProducerClocks},
		{"broker-clocks", "brokers whose clock runs ahead of ours", checkBrokerClocks},
		{"policies", "no version of the policy in force; grants under one that is not published; records that are no version", checkPolicies},
		{"groups", "services that nobody runs, partitions that nobody owns", checkGroups},
		{"layout", "services that fold another topic, generation or number of partitions", checkLayout},
		{"generation", "a log that has ended and is still configured; events that are written behind its end", checkGeneration},
		{"applying", "services that run and do not apply: caches behind the log, standing still, ahead of it", checkApplying},
		{"receipts", "services that acknowledge what their cache does not hold, or prove nothing", checkReceipts},
		{"outbox", "actions that do not finish", checkOutbox},
		{"parked", "events that could not be applied and wait for somebody", checkParked},
		{"log-start", "a log that has lost its beginning", checkLogStart},
		{"digests", "services that keep different states of the same log; caches built from a log without its beginning", checkDigests},
		{"staged", "what a rebuild left that was killed", checkStaged},
		{"redis-access", "a Redis that serves anybody on the network", ofRedis(redisAccess)},
		{"redis-version", "a Redis that is too old", ofRedis(redisVersion)},
		{"redis-eviction", "a Redis that deletes when it is full, or did", ofRedis(redisEviction)},
		{"redis-memory", "a Redis that is nearly full", ofRedis(redisMemory)},
		{"redis-compact", "settings under which states take several times the memory", ofRedis(redisCompact)},
		{"redis-persistence", "a Redis that comes back empty, or cannot write its file", ofRedis(redisPersistence)},
		{"redis-clocks", "a Redis whose clock is not ours", checkRedisClocks},
		{"canary", "stops that arrive late or not at all; only with --canary", checkCanary},
	}
}
