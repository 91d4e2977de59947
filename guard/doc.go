// Package guard answers the one question of everybody who wants to use a
// person's data: may I, now, for this purpose?
//
//	if d := consent.Check(ctx, subject, "promotion"); !d.Allowed {
//		log.Info("not sent", "why", d)
//		return nil
//	}
//
// A [Guard] reads what one service's consumer wrote to Redis: the subject's state
// and how fresh it is, in one round trip. In doubt the answer is no: a cache that
// may be behind the log, that knows nothing, or that cannot be asked in time
// denies, and says so. There is no error to forget.
//
// It leaves writing to the consumers. It remembers no states between checks; a
// near cache and contexts that end with the consent are for later. Any service
// imports it; package guardtest has one for tests.
package guard
