package cloudevent

import (
	"time"

	"github.com/kelisim/kelisim/events"
)

// moment is a CloudEvents timestamp, to the millisecond.
type moment struct {
	at   events.Millis
	zero bool // the zero time of Go, which the SDK takes for no time at all
}

// parseTime accepts what [time.Parse] accepts for [time.RFC3339Nano], no more
// and no less. The usual shape, in UTC, is read here: it costs a fifth.
func parseTime(text string) (moment, bool) {
	if m, ok := parseUTC(text); ok {
		return m, true
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	return moment{events.MillisOf(t), t.IsZero()}, err == nil
}

const (
	secondsLen = len("2006-01-02T15:04:05") // before the fraction
	maxDigits  = 9                          // of a fraction; time.Parse drops what follows
)

// parseUTC reads 2006-01-02T15:04:05.999999999Z, the fraction optional. It says
// no when unsure.
func parseUTC(s string) (moment, bool) {
	if len(s) <= secondsLen || s[len(s)-1] != 'Z' ||
		s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return moment{}, false
	}
	year, month, day := two(s, 0)*100+two(s, 2), two(s, 5), two(s, 8)
	hour, minute, second := two(s, 11), two(s, 14), two(s, 17)
	// two gives at least 10,000 for what is no digit
	if year > 9999 || month-1 > 11 || day-1 >= daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return moment{}, false
	}
	nanos, ok := fraction(s[secondsLen : len(s)-1])
	if !ok {
		return moment{}, false
	}
	seconds := int64(daysSinceEpoch(year, month, day))*86_400 + int64(hour*3600+minute*60+second)
	return moment{
		at:   events.Millis(seconds*1000 + int64(nanos/1_000_000)),
		zero: year == 1 && month == 1 && day == 1 && hour|minute|second|nanos == 0,
	}, true
}

// two reads two digits.
func two(s string, at int) uint {
	tens, ones := uint(s[at]-'0'), uint(s[at+1]-'0')
	if tens > 9 || ones > 9 {
		return 10_000
	}
	return tens*10 + ones
}

// fraction reads .000000001 to .999999999, or nothing.
func fraction(s string) (nanos uint, ok bool) {
	if s == "" {
		return 0, true
	}
	if s[0] != '.' || len(s) < 2 || len(s) > 1+maxDigits {
		return 0, false
	}
	for i := 1; i <= maxDigits; i++ {
		nanos *= 10
		if i < len(s) {
			d := uint(s[i] - '0')
			if d > 9 {
				return 0, false
			}
			nanos += d
		}
	}
	return nanos, true
}

func daysIn(year, month uint) uint {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSinceEpoch counts from 1970-01-01, by years that begin in March and 400
// years later, so that nothing is below zero (H. Hinnant, "chrono-Compatible
// Low-Level Date Algorithms", days_from_civil).
func daysSinceEpoch(year, month, day uint) int {
	const epoch, era = 719_468, 146_097
	year += 400
	if month <= 2 {
		year--
		month += 12
	}
	return int(365*year+year/4-year/100+year/400+(153*(month-3)+2)/5+day-1) - era - epoch
}

// timeLayout is how times are written: UTC and milliseconds, as Kafka has them.
const timeLayout = "2006-01-02T15:04:05.000Z"

func appendTime(b []byte, m events.Millis) []byte { return m.Time().AppendFormat(b, timeLayout) }
