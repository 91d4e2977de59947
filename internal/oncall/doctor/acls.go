package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
)

// Kafka's names of what is looked at.
const (
	onTopic, onGroup, onCluster = "Topic", "Group", "Cluster"
	mayRead, mayWrite, mayAll   = "Read", "Write", "All"
	everybody                   = "User:*"
	openByDefault               = "allow.everyone.if.no.acl.found"
	fixACL                      = "kafka-acls.sh --remove, for what it need not do; if it must: --operator %s"
)

// ruling are the operations that change a topic itself.
var ruling = []string{"Alter", "AlterConfigs", "Delete", mayAll}

// checkACLs finds who may do to a topic what is not its to do: forge decisions,
// proofs or versions of the policy, or change and delete topics.
func checkACLs(ctx context.Context, e *Env) ([]Finding, error) {
	admin, err := e.Admin()
	if err != nil {
		return nil, err
	}
	rules, err := admin.ACLs(ctx)
	if errors.Is(err, stream.ErrNoAuthorizer) || err == nil && len(rules) == 0 {
		return []Finding{{
			Severity: Warning, Object: "kafka", Found: "no rule says who may do what: whoever reaches the brokers may write withdrawals and delete topics",
			Fix: "set authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer, and rules (kafka-acls.sh): producers Write on the events, services Read on events and their group and Write on receipts and parked",
		}}, nil
	}
	if err != nil {
		return nil, err
	}
	wanted, err := e.wanted(ctx)
	if err != nil {
		return nil, err
	}
	out := access{rules, e}.judge(wanted)
	for _, t := range wanted {
		if !slices.ContainsFunc(rules, func(r stream.ACL) bool { return covers(r, onTopic, t.Name) }) {
			out = append(out, Finding{
				Severity: Warning, Object: t.Name,
				Found: "no rule names it: nobody may use it, or everybody may do everything, if the brokers have " + openByDefault + "=true (Kafka shows nobody that setting)",
				Fix:   "give it rules, and see that the brokers' files do not set " + openByDefault,
			})
		}
	}
	return out, nil
}

// access is the rules of a cluster, and who is who.
type access struct {
	rules []stream.ACL
	env   *Env
}

func (a access) judge(wanted []deploy.Topic) (out []Finding) {
	add := func(s Severity, principal, object, found string) {
		f := Finding{Severity: s, Object: object, Found: principal + " " + found, Fix: fmt.Sprintf(fixACL, principal)}
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	for _, r := range a.rules {
		if r.Deny || slices.Contains(a.env.Operators, r.Principal) {
			continue
		}
		if r.Resource == onCluster && slices.Contains(ruling, r.Operation) {
			add(Critical, r.Principal, "kafka", "may "+r.Operation+" the cluster")
		}
		for _, t := range wanted {
			if !covers(r, onTopic, t.Name) || a.denied(r, t.Name) {
				continue
			}
			if slices.Contains(ruling, r.Operation) {
				add(Critical, r.Principal, t.Name, "may "+r.Operation+" the topic")
			}
			if r.Operation == mayWrite || r.Operation == mayAll {
				if s, why := a.writes(r.Principal, t.Name); why != "" {
					add(s, r.Principal, t.Name, why)
				}
			}
		}
	}
	return out
}

// writes says what is wrong with who may write to a topic, if anything is.
func (a access) writes(principal, topic string) (Severity, string) {
	topics := a.env.Topics
	service, decides := a.isService(principal)
	switch {
	case principal == everybody:
		return Critical, "may write to the topic: everybody can forge what stands in it"
	case topic == topics.Events && service && !decides:
		return Warning, "runs a service and may also write decisions: a fault in the one becomes the other"
	case topic == topics.Policies || topic == topics.Audit:
		return Critical, "may write to the topic and is no operator: it can change what every consent covers, or the record of who did what"
	case topic != topics.Events && !service:
		return Critical, "may write to the topic and runs no service: it can forge proofs, states and parked events"
	}
	return "", ""
}

// isService says whether a principal may be a member of a service's group, and
// whether of one that also writes decisions.
func (a access) isService(principal string) (service, decides bool) {
	for _, s := range a.env.Services {
		for _, r := range a.rules {
			if !r.Deny && r.Principal == principal && (r.Operation == mayRead || r.Operation == mayAll) && covers(r, onGroup, s.Group) {
				service, decides = true, decides || s.Decides
			}
		}
	}
	return service, decides
}

// denied says whether another rule takes away what this one gives.
func (a access) denied(given stream.ACL, topic string) bool {
	return slices.ContainsFunc(a.rules, func(r stream.ACL) bool {
		return r.Deny && covers(r, onTopic, topic) && r.Host == "*" &&
			(r.Principal == given.Principal || r.Principal == everybody) && (r.Operation == given.Operation || r.Operation == mayAll)
	})
}

// covers says whether a rule is about a resource.
func covers(r stream.ACL, resource, name string) bool {
	if r.Resource != resource {
		return false
	}
	if r.Prefix {
		return strings.HasPrefix(name, r.Name)
	}
	return r.Name == name || r.Name == "*"
}
