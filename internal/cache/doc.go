// Package cache keeps one service's consent states in Redis: the layout of its
// keys, the scripts that write them, and the one read that the guard does.
//
// What makes it trustworthy is that states, applied position, freshness and
// outbox of a partition live in one slot and change in one script, and that
// the position moves only from the exact previous one. A Redis that lost
// writes therefore shows a gap instead of an old answer that looks new.
//
// It leaves the fold to package events, the log to events/stream, and what must
// stop to the services. The consumers' engine writes through [Store]; the guard
// reads through [Reader]; nobody outside the module can import either, so nobody
// can write consent without an event. docs/cache.md describes every key.
package cache
