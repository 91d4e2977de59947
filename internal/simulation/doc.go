// Package simulation counts how often a rule of order lets a grant re-open what
// a withdrawal closed: millions of short histories of one subject, three
// producers with clocks of their own, and the faults of a log (DESIGN 3). The
// rule under test is the real one, [events.Rules.Apply]; beside it run the rules
// that a team would otherwise use. Everything is drawn from a seed, so that a
// table can be had again. cmd/consent-sim prints it; docs/order-rule.md explains
// it.
package simulation
