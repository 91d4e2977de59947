// Package policy holds the privacy policy as data: a [Catalogue] is one
// published version with its purposes, a [Book] is all versions of one policy
// and knows which earlier consent still covers what the version in force asks.
//
// A change of policy is a new catalogue and not a release: [Parse] reads it from
// YAML, [Lint] holds it against what was published before, [Diff] says in words
// what changes, [Catalogue.Event] publishes it and [FromEvent] reads it back.
// The calendar of the policy is here too: deemed acceptance ([DeemedFrom],
// clause 1.6) and retention ([DueAt], clause 2.5), both in Asia/Almaty.
//
// The package is pure: no clock, no client, no context. Encoding is left to
// events/cloudevent, transport to events/stream, and what a subject may be used
// for to package events, whose rules a catalogue gives. Guards, consumers and
// the commands call it.
package policy
