// Package events holds the words of Kelisim and what they add up to.
//
// An [Event] is one decision about one subject: a grant, a withdrawal, a block
// and so on. [Rules.Apply] folds events into a [State] by the order rule "two
// keys to open, one to close": a grant re-opens a purpose only if it stands
// after the last withdrawal in the log and was decided after it, a withdrawal
// needs neither. [Rules.Decide] reads the answer for one purpose out of a state.
//
// The package is pure: no clock, no client, no context. Encoding events for
// Kafka is left to events/cloudevent, moving them to events/stream, and keeping
// states to the cache that the consumers write. Everybody else imports it.
package events
