package cache

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kelisim/kelisim/events"
)

// Layout says how the subjects of one service spread over the keys of Redis. It
// is fixed for one generation of the topic: a service that finds another one
// recorded refuses to start ([ErrLayout]).
type Layout struct {
	Service    string // "marketing"
	Topic      string // whose events are folded: "consent.events.v1"
	Generation uint32 // of the topic
	Partitions int32  // of the topic
	Buckets    int32  // per partition; about one for every sixteen subjects (docs/decisions/0003)

	beside bool // the keys of a rebuild, beside the live ones and in the same slots; see Staging
}

// DefaultBuckets is for half a million subjects in 32 partitions, sixteen to a
// bucket. Four times as many work too, a little more slowly.
const DefaultBuckets = 1024

// maxPlaces bounds partitions times buckets: both are read out of one 31-bit hash.
const maxPlaces = 1 << 28

// maxServiceLen bounds the name of a service, which every key repeats.
const maxServiceLen = 32

// Validate says what is wrong with the layout, if anything.
func (l Layout) Validate() error {
	switch {
	case l.Service == "" || len(l.Service) > maxServiceLen || strings.ContainsFunc(l.Service, notServiceRune):
		return fmt.Errorf("layout: service %q: want 1 to %d lower-case letters, digits or -", l.Service, maxServiceLen)
	case l.Topic == "":
		return fmt.Errorf("layout of %s: has no topic", l.Service)
	case l.Partitions < 1 || l.Buckets < 1 || int64(l.Partitions)*int64(l.Buckets) > maxPlaces:
		return fmt.Errorf("layout of %s: %d partitions of %d buckets: want at least 1 of 1, at most %d in all",
			l.Service, l.Partitions, l.Buckets, maxPlaces)
	}
	return nil
}

func notServiceRune(c rune) bool {
	return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-'
}

// Prefix begins every key of the partition, hash tag included, so that all of
// them live in one slot of a Redis Cluster: "consent:{marketing/1/17}:".
func (l Layout) Prefix(partition int32) string {
	prefix := "consent:{" + l.Service + "/" + strconv.FormatUint(uint64(l.Generation), 10) + "/" + strconv.Itoa(int(partition)) + "}:"
	if l.beside {
		prefix += stagedName
	}
	return prefix
}

// PartitionOf returns the partition that holds the subject's events and keys.
func (l Layout) PartitionOf(s events.Subject) int32 {
	return events.PartitionOf(s.Reveal(), l.Partitions)
}

// place returns the subject's partition and bucket. One hash gives both: the
// place among all partitions times buckets is the hash modulo their product, its
// remainder by the partitions is Kafka's own partition, its quotient the bucket.
func (l Layout) place(s events.Subject) (partition, bucket int32) {
	p := events.PartitionOf(s.Reveal(), l.Partitions*l.Buckets)
	return p % l.Partitions, p / l.Partitions
}

func (l Layout) bucketKey(partition, bucket int32) string {
	return l.Prefix(partition) + bucketName + strconv.Itoa(int(bucket))
}

// keys are all that a partition may have, the position first.
func (l Layout) keys(partition int32) []string {
	prefix := l.Prefix(partition)
	keys := append(make([]string, 0, 3+l.Buckets), prefix+positionName, prefix+outboxName, prefix+heldName)
	for b := range l.Buckets {
		keys = append(keys, l.bucketKey(partition, b))
	}
	return keys
}

// The keys of a partition, behind its prefix, and of a service.
const (
	positionName = "pos"    // hash: applied position, freshness, owner
	bucketName   = "s:"     // hash, then the bucket's number: subject → state
	outboxName   = "outbox" // sorted set: subject → offset whose action is still to be done
	heldName     = "held"   // hash: subject → positions that hold it
	stagedName   = "new:"   // begins the names of all of these where a rebuild writes them
)

func policyKey(service string) string { return "consent:{" + service + "}:policy" }

func layoutKey(service string) string { return "consent:{" + service + "}:layout" }
