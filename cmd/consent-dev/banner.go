package main

import (
	"fmt"
	"net"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
)

// writeBanner says what runs here and how to reach it.
func (p *page) writeBanner(o options, s *servers, admin string) {
	kafka, redis := "embedded, in memory", "embedded, in memory"
	switch {
	case o.kafka != "":
		kafka = "yours"
	case o.data != "":
		kafka = "embedded, log kept in " + o.data
	}
	if o.redis != "" {
		redis = "yours"
	}
	p.print(
		p.paint(bold, "Kelisim, a consent pipeline in one process · for development, not for production"),
		"",
		fmt.Sprintf("   Kafka  %-16s %-24s kcat -L -b %s", s.kafka, kafka, s.kafka),
		fmt.Sprintf("   Redis  %-16s %-24s %s --scan --pattern 'consent:*'", s.redis, redis, redisCLI(s.redis)),
		fmt.Sprintf("   admin  %-16s %-24s curl http://%s/metrics", admin, "/livez /readyz /metrics", admin),
		fmt.Sprintf("  people  %d synthetic subjects, %g decisions a second, seed %d", o.subjects, o.rate, o.seed),
		"",
		"marketing, targeting and affiliate follow the log. A story's times count from the moment at",
		"which Kafka had acknowledged the withdrawal; what was sooner is 0.0. Ctrl-C ends everything.",
	)
}

// writeTry says what to try next.
func (p *page) writeTry(s *servers, purposes []events.Purpose) {
	lines := []string{
		"", p.rule("try next"),
		fmt.Sprintf("Subject %s has consented to %s; whatever changes its answers shows here.", handSubject, join(purposes)),
		"", "Withdraw by hand:", "",
	}
	lines = append(lines, byHand(s.kafka, events.Withdrawn, purposes[0])...)
	lines = append(lines, "", "Consent again: the same lines, with this type and a policy version in place of the type:", "",
		"    -H ce_type="+events.Granted.String()+" -H ce_policyversion="+string(policyVersion)+" \\")
	if s.ownRedis != nil {
		lines = append(lines, "", "Lose the whole cache; watch the answers turn to deny and recover from the log:", "",
			"  "+redisCLI(s.redis)+" FLUSHALL")
	}
	lines = append(lines, "", "Build a cache anew, from the snapshots and the log behind them, beside the live one (--apply swaps it in):", "",
		"  "+rebuildLine(s))
	lines = append(lines, "", "Publish garbage: it is kept in "+deploy.ParkedTopic+", and its subject held:", "",
		fmt.Sprintf("  echo garbage | kcat -P -b %s -t %s -k %s -X topic.partitioner=murmur2_random", s.kafka, deploy.EventsTopic, handSubject))
	lines = append(lines, "", "Read the log along:", "",
		fmt.Sprintf("  kcat -C -q -o end -b %s -t %s -f '%%p@%%o  %%h\\n'", s.kafka, deploy.EventsTopic), "")
	p.print(lines...)
}

// rebuildLine returns the command that rebuilds marketing's cache. It works on the
// source tree that this program was run from.
func rebuildLine(s *servers) string {
	return fmt.Sprintf("go run ./cmd/consentctl rebuild marketing --brokers %s --redis-addrs %s", s.kafka, s.redis)
}

// byHand returns the command that publishes a decision of the hand subject: one
// event in binary mode with every attribute, partitioned as Java does it (kcat's
// own default differs, librdkafka #1349).
func byHand(kafka string, kind events.Type, purpose events.Purpose) []string {
	return []string{
		`  echo '{"channel":"web"}' | \`,
		fmt.Sprintf(`  kcat -P -b %s -t %s -k %s -X topic.partitioner=murmur2_random \`, kafka, deploy.EventsTopic, handSubject),
		fmt.Sprintf(`    -H ce_specversion=1.0 -H ce_id=$(date +%%s%%N) -H ce_source=/by-hand -H ce_type=%s \`, kind),
		fmt.Sprintf(`    -H ce_subject=%s -H ce_partitionkey=%s -H ce_purposes=%s \`, handSubject, handSubject, purpose),
		`    -H ce_method=person -H ce_evidence=urn:kelisim:evidence:by-hand \`,
		`    -H ce_time=$(date -u +%Y-%m-%dT%H:%M:%SZ) -H content-type=application/json`,
	}
}

// redisCLI returns the command for a Redis.
func redisCLI(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "redis-cli"
	}
	if host == "127.0.0.1" || host == "localhost" {
		return "redis-cli -p " + port
	}
	return "redis-cli -h " + host + " -p " + port
}
