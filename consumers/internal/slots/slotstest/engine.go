// Package slotstest plays the consumers' engine for one slot, as far as a
// service's action can tell: an outbox of subjects whose standing changed, and
// turns out of it. Only tests of the services import it.
package slotstest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
)

// T is what is needed of [testing.TB] and of a property's own T.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	FailNow()
}

// Engine decides about the subjects of one slot and has a service act on it.
type Engine struct {
	Slot   consumers.Slot
	Rules  *events.Rules
	client redis.UniversalClient
	next   int64
	newest map[events.Subject]consumers.Turn
	Past   []consumers.Turn // every turn there ever was
}

// NewEngine returns an engine whose slot is empty.
func NewEngine(client redis.UniversalClient, slot consumers.Slot) *Engine {
	return &Engine{Slot: slot, Rules: events.SeedRules(), client: client, next: 100, newest: make(map[events.Subject]consumers.Turn)}
}

// GoBy has the engine go by published versions of the policy from now on, as the
// service named.
func (e *Engine) GoBy(t T, service string, versions ...*policy.Catalogue) *policy.Book {
	t.Helper()
	book := new(policy.Book)
	for _, c := range versions {
		var err error
		book, err = book.With(c)
		require.NoError(t, err)
	}
	e.Rules = book.Edition(time.Now()).Rules
	serves := book.Serves(service)
	e.Slot.Serves = &consumers.Serving{Purposes: e.Rules.Names(serves), Codes: slices.Collect(serves.Codes())}
	return book
}

// Standing returns the standing with some purposes allowed and some stopped.
func (e *Engine) Standing(t T, allowed, stopped []events.Purpose) events.Standing {
	t.Helper()
	a, err := e.Rules.Set(allowed...)
	require.NoError(t, err)
	s, err := e.Rules.Set(stopped...)
	require.NoError(t, err)
	return events.Standing{Allowed: a, Stopped: s}
}

// Decide gives a subject a new standing and puts it in the outbox, as the script
// that stores a state does: with the offset of the first change not acted on.
func (e *Engine) Decide(t T, subject events.Subject, standing events.Standing) consumers.Turn {
	t.Helper()
	e.next++
	turn := consumers.Turn{Subject: subject, Standing: standing, Version: events.Version{Generation: 1, Partition: e.Slot.Partition, Offset: e.next}}
	e.newest[subject], e.Past = turn, append(e.Past, turn)
	err := e.client.ZAddNX(context.Background(), e.outbox(), redis.Z{Score: float64(e.next), Member: subject.Reveal()}).Err()
	require.NoError(t, err)
	return turn
}

// Newest returns where a subject stands.
func (e *Engine) Newest(subject events.Subject) events.Standing { return e.newest[subject].Standing }

// Pending returns the turns of the outbox.
func (e *Engine) Pending(t T) []consumers.Turn {
	t.Helper()
	ids, err := e.client.ZRange(context.Background(), e.outbox(), 0, -1).Result()
	require.NoError(t, err)
	turns := make([]consumers.Turn, 0, len(ids))
	for _, id := range ids {
		subject, err := events.ParseSubject(id)
		require.NoError(t, err)
		turns = append(turns, e.newest[subject])
	}
	return turns
}

// Members returns the members of sets and sorted sets of the slot, in one round
// trip, and those of the outbox under "outbox".
func (e *Engine) Members(t T, sets, sorted []string) map[string]map[string]bool {
	t.Helper()
	replies := make(map[string]*redis.StringSliceCmd)
	_, err := e.client.Pipelined(context.Background(), func(pipe redis.Pipeliner) error {
		for _, name := range sets {
			replies[name] = pipe.SMembers(context.Background(), e.Slot.Prefix+name)
		}
		for _, name := range append(sorted, "outbox") {
			replies[name] = pipe.ZRange(context.Background(), e.Slot.Prefix+name, 0, -1)
		}
		return nil
	})
	require.NoError(t, err)
	all := make(map[string]map[string]bool, len(replies))
	for name, reply := range replies {
		all[name] = make(map[string]bool)
		for _, member := range reply.Val() {
			all[name][member] = true
		}
	}
	return all
}

// Done takes acted-on subjects out of the outbox, except those whose standing
// changed since.
func (e *Engine) Done(t T, turns []consumers.Turn) {
	t.Helper()
	for _, turn := range turns {
		if e.newest[turn.Subject].Version == turn.Version {
			require.NoError(t, e.client.ZRem(context.Background(), e.outbox(), turn.Subject.Reveal()).Err())
		}
	}
}

// Drain has the action act on all that is pending.
func (e *Engine) Drain(t T, action consumers.Action) {
	t.Helper()
	turns := e.Pending(t)
	require.NoError(t, action.Act(context.Background(), e.Slot, turns))
	e.Done(t, turns)
}

func (e *Engine) outbox() string { return e.Slot.Prefix + "outbox" }

// Slots returns the slots of a service with some partitions.
func Slots(service string, partitions int) []consumers.Slot {
	all := make([]consumers.Slot, partitions)
	for p := range all {
		all[p] = consumers.Slot{Partition: int32(p), Prefix: fmt.Sprintf("consent:{%s/1/%d}:", service, p)}
	}
	return all
}

// Home returns the slot of a subject.
func Home(all []consumers.Slot, s events.Subject) consumers.Slot {
	return all[events.PartitionOf(s.Reveal(), int32(len(all)))]
}

// Subject returns a subject by number.
func Subject(n int) events.Subject {
	s, err := events.ParseSubject("person-" + strconv.Itoa(n))
	if err != nil {
		panic(err) // the form above is one of the allowed
	}
	return s
}

// Subjects returns the first n subjects.
func Subjects(n int) []events.Subject {
	all := make([]events.Subject, n)
	for i := range all {
		all[i] = Subject(i)
	}
	return all
}

// RequireOneSlot checks that every key of the database begins with the prefix of
// one of the slots.
func RequireOneSlot(t testing.TB, client *redis.Client, prefixes ...string) {
	t.Helper()
	keys, err := client.Keys(context.Background(), "*").Result()
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	for _, key := range keys {
		found := false
		for _, prefix := range prefixes {
			found = found || len(key) > len(prefix) && key[:len(prefix)] == prefix
		}
		require.True(t, found, "key %s is outside the slots %v", key, prefixes)
	}
}
