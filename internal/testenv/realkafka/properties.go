package realkafka

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// properties returns the server.properties of one node, written for tests: one node is a whole cluster, groups form at
// once, and the log cleaner works every half second.
func (c *Cluster) properties(n int) map[string]string {
	nodes := fmt.Sprint(len(c.nodes))
	p := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        fmt.Sprint(n),
		"log.dirs":                       c.nodes[n].dir + "/data",
		"controller.quorum.voters":       c.voters(),
		"controller.listener.names":      "CONTROLLER",
		"inter.broker.listener.name":     "BROKER",
		"listeners":                      c.listeners(n, "CLIENT", "BROKER", "CONTROLLER"),
		"advertised.listeners":           c.listeners(n, "CLIENT", "BROKER"),
		"listener.security.protocol.map": "CLIENT:" + c.protocol() + ",BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",

		"auto.create.topics.enable":                        "false",
		"min.insync.replicas":                              "1",
		"offsets.topic.replication.factor":                 nodes,
		"offsets.topic.num.partitions":                     "8",
		"transaction.state.log.replication.factor":         nodes,
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "8",
		"share.coordinator.state.topic.replication.factor": nodes,
		"share.coordinator.state.topic.min.isr":            "1",
		"share.coordinator.state.topic.num.partitions":     "1",

		// Kafka waits three seconds for more members, and refuses sessions under six.
		"group.initial.rebalance.delay.ms": "0",
		"group.min.session.timeout.ms":     "500",
		// A dead node is noticed after nine seconds by default.
		"broker.heartbeat.interval.ms": "200",
		"broker.session.timeout.ms":    "2000",

		"log.cleaner.backoff.ms":         "500",
		"log.cleaner.dedupe.buffer.size": "8388608", // 128 MB by default, a third of our heap
		"log.index.size.max.bytes":       "1048576", // every partition reserves this twice
		"num.network.threads":            "2",
		"num.io.threads":                 "4",
	}
	c.secure(p)
	maps.Copy(p, c.cfg.Settings)
	return p
}

func (c *Cluster) voters() string {
	var voters []string
	for n, node := range c.nodes {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", n, node.ports["CONTROLLER"]))
	}
	return strings.Join(voters, ",")
}

func (c *Cluster) listeners(n int, names ...string) string {
	var list []string
	for _, name := range names {
		list = append(list, fmt.Sprintf("%s://127.0.0.1:%d", name, c.nodes[n].ports[name]))
	}
	return strings.Join(list, ",")
}

// protocol is what clients speak. Nodes speak to each other, and tests administer, in the clear.
func (c *Cluster) protocol() string {
	secured, users := c.cfg.CertificatePEM != nil, len(c.cfg.Users) > 0
	switch {
	case secured && users:
		return "SASL_SSL"
	case secured:
		return "SSL"
	case users:
		return "SASL_PLAINTEXT"
	default:
		return "PLAINTEXT"
	}
}

func (c *Cluster) secure(p map[string]string) {
	const listener = "listener.name.client."
	if c.cfg.CertificatePEM != nil {
		p[listener+"ssl.keystore.type"] = "PEM"
		p[listener+"ssl.keystore.certificate.chain"] = string(c.cfg.CertificatePEM)
		p[listener+"ssl.keystore.key"] = string(c.cfg.KeyPEM)
	}
	if len(c.cfg.Users) == 0 {
		return
	}
	plain := "org.apache.kafka.common.security.plain.PlainLoginModule required"
	for _, u := range c.cfg.Users {
		if u.Mechanism == "PLAIN" {
			plain += fmt.Sprintf(" user_%s=%q", u.Name, u.Password)
		}
	}
	const scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	p[listener+"sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
	p[listener+"plain.sasl.jaas.config"] = plain + ";"
	p[listener+"scram-sha-256.sasl.jaas.config"] = scram
	p[listener+"scram-sha-512.sasl.jaas.config"] = scram
}

// scramUsers are the arguments with which StorageTool writes the accounts into a new node's metadata.
func (c *Cluster) scramUsers() []string {
	var args []string
	for _, u := range c.cfg.Users {
		if u.Mechanism != "PLAIN" {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", u.Mechanism, u.Name, u.Password))
		}
	}
	return args
}

// encode writes properties in Java's format.
func encode(p map[string]string) []byte {
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", key, escape.Replace(p[key]))
	}
	return []byte(b.String())
}
