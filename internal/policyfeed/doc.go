// Package policyfeed follows consent.policies.v1: it reads every published version
// of the policy and offers the edition that is in force, with a proof of how
// fresh that is.
//
// It leaves what a version says to events/policy, transport to events/stream. One
// [Follower] serves everything in a process; the engine in package consumers
// goes by it.
package policyfeed
