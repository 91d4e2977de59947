package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// NoOffset stands for a partition of which a group has committed nothing.
const NoOffset int64 = -1

// ErrGroupLives tells that a group has members, whose offsets only they may set: the broker refused.
var ErrGroupLives = errors.New("the group has members")

// CommittedOffsets tells what a group has committed for every partition of a topic, [NoOffset] where that is
// nothing. It joins nothing. A group that never was has committed nothing.
func (a *Admin) CommittedOffsets(ctx context.Context, group, topic string) (map[int32]int64, error) {
	n, err := a.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	client, done, err := a.client()
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	partitions := make([]int, n)
	for i := range partitions {
		partitions[i] = i
	}
	res, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: partitions}})
	if err == nil {
		err = res.Error
	}
	if err != nil && !errors.Is(err, kafka.GroupIdNotFound) {
		return nil, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	found := make(map[int32]int64, n)
	if err != nil { // some brokers say so of a group that never was, others that it has committed nothing
		for _, p := range partitions {
			found[int32(p)] = NoOffset
		}
		return found, nil
	}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("offsets of group %s: partition %d: %w", group, p.Partition, p.Error)
		}
		found[int32(p.Partition)] = max(p.CommittedOffset, NoOffset)
	}
	if len(found) != n {
		return nil, fmt.Errorf("offsets of group %s: %d of %d partitions answered", group, len(found), n)
	}
	return found, nil
}

// SetCommittedOffsets commits offsets for a group without being a member; [NoOffset] takes a commit away. The
// group must have no member: a broker refuses to set the offsets of one that lives, and the error then is
// [ErrGroupLives]. A group that is dead, or never was, is as good as an empty one.
func (a *Admin) SetCommittedOffsets(ctx context.Context, group, topic string, offsets map[int32]int64) error {
	client, done, err := a.client()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	var set []kafka.OffsetCommit
	var drop []int
	for p, offset := range offsets {
		if offset == NoOffset {
			drop = append(drop, int(p))
		} else {
			set = append(set, kafka.OffsetCommit{Partition: int(p), Offset: offset})
		}
	}
	if err := setOffsets(ctx, client, group, topic, set); err != nil {
		return fmt.Errorf("set offsets of group %s: %w", group, err)
	}
	if err := dropOffsets(ctx, client, group, topic, drop); err != nil {
		return fmt.Errorf("drop offsets of group %s: %w", group, err)
	}
	return nil
}

// noGeneration is the generation of whoever is no member (OffsetCommit, generation_id_or_member_epoch).
const noGeneration = -1

func setOffsets(ctx context.Context, client *kafka.Client, group, topic string, set []kafka.OffsetCommit) error {
	if len(set) == 0 {
		return nil
	}
	res, err := client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: group, GenerationID: noGeneration, Topics: map[string][]kafka.OffsetCommit{topic: set},
	})
	if err != nil {
		return err
	}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return fmt.Errorf("partition %d: %w", p.Partition, ofLiving(p.Error))
		}
	}
	return nil
}

func dropOffsets(ctx context.Context, client *kafka.Client, group, topic string, drop []int) error {
	if len(drop) == 0 {
		return nil
	}
	res, err := client.OffsetDelete(ctx, &kafka.OffsetDeleteRequest{GroupID: group, Topics: map[string][]int{topic: drop}})
	if err == nil {
		err = res.Error
	}
	if errors.Is(err, kafka.GroupIdNotFound) {
		return nil // nothing is committed there
	}
	if err != nil {
		return ofLiving(err)
	}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return fmt.Errorf("partition %d: %w", p.Partition, ofLiving(p.Error))
		}
	}
	return nil
}

// ofLiving gives the refusals of a group that has members their meaning: to a commit of a stranger a broker
// answers that it knows no such member or generation, to a deletion that the group is not empty or subscribed.
func ofLiving(err error) error {
	for _, refusal := range []kafka.Error{
		kafka.UnknownMemberId, kafka.IllegalGeneration, kafka.RebalanceInProgress, kafka.NonEmptyGroup, kafka.GroupSubscribedToTopic,
	} {
		if errors.Is(err, refusal) {
			return fmt.Errorf("%w: %w", ErrGroupLives, err)
		}
	}
	return err
}
