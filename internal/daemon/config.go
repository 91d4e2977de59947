// Package daemon is what every long-running program of Kelisim has in common:
// its configuration, its log, the admin port with health and metrics, and an
// orderly end.
//
// It knows no event, no Kafka and no Redis: it holds the settings that reach
// them, and the programs under cmd turn those into clients. Only programs call
// it.
package daemon

import "time"

// Config is the whole configuration of consentd. Every field is one key of the
// file, one variable and one flag; package settings says how they are spelled
// and which wins. Where the value of a field is a risk, its text says so.
type Config struct {
	Kafka     Kafka     `key:"kafka"`
	Topics    Topics    `key:"topics"`
	Redis     Redis     `key:"redis"`
	Cache     Cache     `key:"cache"`
	Affiliate Affiliate `key:"affiliate"`
	Policy    Policy    `key:"policy"`
	Admin     Admin     `key:"admin"`
	Log       Log       `key:"log"`
	Shutdown  Shutdown  `key:"shutdown"`
}

// Kafka says how to reach the log and as whom.
type Kafka struct {
	Brokers     []string      `key:"brokers" help:"addresses, host:port, that the cluster is found through"`
	ClientID    string        `key:"client_id" help:"name of this program in the brokers' logs and quotas"`
	DialTimeout time.Duration `key:"dial_timeout" help:"limit for one connection, TLS and SASL included"`
	UnpackedMB  int           `key:"unpacked_mb" help:"what one packed batch may become when it is read, in MiB; a consumer stands still in front of a larger one"`
	TLS         TLS           `key:"tls"`
	SASL        SASL          `key:"sasl"`
}

// TLS says whether and how connections are encrypted. 1.2 is the least version.
type TLS struct {
	Enabled    bool   `key:"enabled" help:"encrypt the connections; clause 3.5 of the policy asks for it outside one host"`
	CAFile     string `key:"ca_file" help:"PEM certificates to trust; those of the system when empty"`
	CertFile   string `key:"cert_file" help:"PEM certificate of this client"`
	KeyFile    string `key:"key_file" help:"PEM key of this client"`
	ServerName string `key:"server_name" help:"name expected in the servers' certificates; the dialled host when empty"`
}

// SASL says as whom a client authenticates to Kafka.
type SASL struct {
	Mechanism    string `key:"mechanism" help:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; none when empty"`
	Username     string `key:"username" help:"name of the account"`
	Password     string `key:"password" help:"password of the account" secret:"true"`
	PasswordFile string `key:"password_file" help:"file that holds the password; read at every connection"`
}

// Topics names the topics; deploy/topics.yaml creates them under their default
// names.
type Topics struct {
	Events     string `key:"events" help:"topic of the decisions"`
	Policies   string `key:"policies" help:"topic of the published policy versions"`
	State      string `key:"state" help:"topic of the snapshots of every subject's state"`
	Parked     string `key:"parked" help:"topic for what could not be applied"`
	Receipts   string `key:"receipts" help:"topic of the proofs that a range was applied"`
	Audit      string `key:"audit" help:"topic of what operators did; consentctl only"`
	Generation int    `key:"generation" help:"generation of the events topic; 0 is that of deploy/topics.yaml at the time of the build"`
}

// Cache sizes what a service keeps.
type Cache struct {
	Buckets int `key:"buckets" help:"hashes per partition in Redis, about one for sixteen subjects, fixed for a generation; 0 is as in deploy/topics.yaml"`
	Memory  int `key:"memory" help:"states that a consumer keeps in memory, at some 250 bytes each; it asks Redis for the others"`
}

// Redis says how to reach the cache and as whom.
type Redis struct {
	Mode         string   `key:"mode" help:"single, sentinel or cluster"`
	Addrs        []string `key:"addrs" help:"addresses, host:port: of the server, of the sentinels, or of some cluster nodes"`
	MasterName   string   `key:"master_name" help:"name of the master that the sentinels watch; mode sentinel only"`
	DB           int      `key:"db" help:"number of the database; always 0 in a cluster"`
	Username     string   `key:"username" help:"name of the ACL user; the default user when empty"`
	Password     string   `key:"password" help:"password of the user" secret:"true"`
	PasswordFile string   `key:"password_file" help:"file that holds the password; read at the start"`
	Sentinel     Sentinel `key:"sentinel"`
	TLS          TLS      `key:"tls"`
}

// Sentinel says as whom the sentinels are asked, where they want to know.
type Sentinel struct {
	Username     string `key:"username" help:"name of the ACL user at the sentinels"`
	Password     string `key:"password" help:"password at the sentinels" secret:"true"`
	PasswordFile string `key:"password_file" help:"file that holds the password at the sentinels; read at the start"`
}

// Affiliate is read by the role affiliate alone.
type Affiliate struct {
	PartnersFile string `key:"partners_file" help:"YAML file of the partners, the purposes they work for and the files of their pseudonym keys"`
}

// Policy is read by the role policy alone.
type Policy struct {
	KeyFile         string        `key:"key_file" help:"file of the key, in base64, that suppressed subjects are hashed with; the role needs it"`
	PreviousKeyFile string        `key:"previous_key_file" help:"file of the key before, while a rotation lasts"`
	Sweep           time.Duration `key:"sweep" help:"how often it is looked whose retention is over and which refusals are to be reviewed"`
	Activity        Activity      `key:"activity"`
}

// Activity says what tells that a subject used the service.
type Activity struct {
	Topic   string `key:"topic" help:"topic that tells of use; nothing is accepted by use when empty"`
	Subject string `key:"subject" help:"where the subject's id stands: key, header:NAME or value:path.to.member of a JSON value; empty: records are activity events"`
	Time    string `key:"time" help:"where the time of use stands, in the same words, as RFC 3339 or Unix milliseconds; empty: the record's own time"`
}

// Admin says where health, metrics and profiles are served.
type Admin struct {
	Addr        string `key:"addr" help:"address of the admin port; :0 takes a free one"`
	AllowRemote bool   `key:"allow_remote" help:"let the admin port listen beyond loopback: it has no authentication, so only behind a network policy"`
}

// Log says what the program writes about itself, on standard error.
type Log struct {
	Level  string `key:"level" help:"debug, info, warn or error"`
	Format string `key:"format" help:"json, text, or auto: text on a terminal"`
}

// Shutdown bounds the orderly end.
type Shutdown struct {
	Budget time.Duration `key:"budget" help:"time from the signal to the end; keep it below terminationGracePeriodSeconds (30s unless set)"`
}

// Defaults returns the configuration when nothing is given. It names no Kafka
// and no Redis: a service that guesses its log would follow the wrong one.
func Defaults() Config {
	return Config{
		Kafka: Kafka{ClientID: "kelisim", DialTimeout: 3 * time.Second, UnpackedMB: 64},
		Topics: Topics{
			Events: "consent.events.v1", Policies: "consent.policies.v1", State: "consent.state.v1",
			Parked: "consent.parked.v1", Receipts: "consent.receipts.v1", Audit: "consent.audit.v1",
		},
		Redis:    Redis{Mode: RedisSingle},
		Cache:    Cache{Memory: 1_000_000},
		Policy:   Policy{Sweep: time.Minute, Activity: Activity{Topic: "consent.activity.v1"}},
		Admin:    Admin{Addr: "127.0.0.1:9464"}, // the port that OpenTelemetry's Prometheus exporters use
		Log:      Log{Level: "info", Format: FormatAuto},
		Shutdown: Shutdown{Budget: 20 * time.Second}, // Kubernetes kills after 30 s
	}
}
