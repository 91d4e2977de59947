package policy

import "time"

// deemedAfter is how many full calendar days after the day of publication pass
// before use accepts a new version (clause 1.6).
const deemedAfter = 7

// never is later than any moment that is asked about.
var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// DeemedFrom returns the first moment at which going on to use the service
// accepts a version: the start of the day, in Asia/Almaty, that follows seven
// full calendar days after the day of publication (clause 1.6). For no day it is
// the end of the year 9999.
//
// A version counts as published when people could read it: where its event was
// appended on a later day than the catalogue says, take [DateOf] the append time.
func DeemedFrom(published Date) time.Time {
	if published.IsZero() {
		return never
	}
	return published.Add(1 + deemedAfter).Start()
}

// DeemedBy says whether an activity accepts the version published on a day.
// Silence is no activity: the zero time is before every day and accepts nothing.
// What is accepted moves the accepted version and nothing else; it never makes or
// widens a grant.
func DeemedBy(published Date, activity time.Time) bool {
	return !activity.Before(DeemedFrom(published))
}
