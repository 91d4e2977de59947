package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// ErrNoAuthorizer tells that the cluster has no authorizer: whoever reaches it may do everything.
var ErrNoAuthorizer = errors.New("the cluster has no authorizer")

// ACL is one rule of who may do what. Names are Kafka's own, as kafka-acls.sh prints them.
type ACL struct {
	Resource  string // Topic, Group, Cluster, Transactionalid, Delegationtoken
	Name      string // of the resource; "*" is all of them
	Prefix    bool   // Name is only how the resource's begins
	Principal string // "User:marketing"; "User:*" is everybody
	Host      string // "*" is everywhere
	Operation string // Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs, All, …
	Deny      bool
}

// ACLs tells all rules of the cluster. The error is [ErrNoAuthorizer] where there can be none.
func (a *Admin) ACLs(ctx context.Context) ([]ACL, error) {
	client, done, err := a.client()
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	res, err := client.DescribeACLs(ctx, &kafka.DescribeACLsRequest{Filter: kafka.ACLFilter{
		ResourceTypeFilter: kafka.ResourceTypeAny, ResourcePatternTypeFilter: kafka.PatternTypeAny,
		Operation: kafka.ACLOperationTypeAny, PermissionType: kafka.ACLPermissionTypeAny,
	}})
	if err == nil {
		err = res.Error
	}
	if errors.Is(err, kafka.SecurityDisabled) {
		return nil, ErrNoAuthorizer
	}
	if err != nil {
		return nil, fmt.Errorf("describe ACLs: %w", err)
	}
	var all []ACL
	for _, r := range res.Resources {
		for _, rule := range r.ACLs {
			all = append(all, ACL{
				Resource: r.ResourceType.String(), Name: r.ResourceName, Prefix: r.PatternType == kafka.PatternTypePrefixed,
				Principal: rule.Principal, Host: rule.Host, Operation: rule.Operation.String(),
				Deny: rule.PermissionType == kafka.ACLPermissionTypeDeny,
			})
		}
	}
	return all, nil
}
