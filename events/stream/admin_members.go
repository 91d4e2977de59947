package stream

import (
	"context"
	"fmt"
	"slices"

	"github.com/segmentio/kafka-go"
)

// Group is a consumer group as its coordinator sees it.
type Group struct {
	Name    string
	State   string // Stable, PreparingRebalance, CompletingRebalance, Empty, or Dead, which is also that of a group that never was
	Members []Member
}

// Member is one member of a group.
type Member struct {
	ID       string
	ClientID string
	Host     string             // where it connects from
	Assigned map[string][]int32 // partitions by topic, in rising order
}

// Group describes a consumer group of the classic protocol, which ours speak.
func (a *Admin) Group(ctx context.Context, name string) (Group, error) {
	client, done, err := a.client()
	if err != nil {
		return Group{}, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	res, err := client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{name}})
	if err != nil {
		return Group{}, fmt.Errorf("describe group %s: %w", name, err)
	}
	for _, g := range res.Groups {
		if g.GroupID != name {
			continue
		}
		if g.Error != nil {
			return Group{}, fmt.Errorf("describe group %s: %w", name, g.Error)
		}
		out := Group{Name: name, State: g.GroupState}
		for _, m := range g.Members {
			out.Members = append(out.Members, memberOf(m))
		}
		return out, nil
	}
	return Group{}, fmt.Errorf("describe group %s: not answered", name)
}

func memberOf(m kafka.DescribeGroupsResponseMember) Member {
	out := Member{ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Assigned: make(map[string][]int32)}
	for _, t := range m.MemberAssignments.Topics {
		for _, p := range t.Partitions {
			out.Assigned[t.Topic] = append(out.Assigned[t.Topic], int32(p))
		}
		slices.Sort(out.Assigned[t.Topic])
	}
	return out
}
