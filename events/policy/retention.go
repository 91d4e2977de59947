package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Period is a length of time in calendar units. The zero Period is none.
type Period struct{ years, months, days int }

// DefaultRetention is how long data is kept after the agreement's end, unless
// the catalogue says otherwise: three years (clause 2.5).
var DefaultRetention = Period{years: 3}

// period allows at most three digits for each unit: no retention lasts a
// thousand years, and the sum stays a date that Go can hold.
var period = regexp.MustCompile(`^P(?:([1-9][0-9]{0,2})Y)?(?:([1-9][0-9]{0,2})M)?(?:([1-9][0-9]{0,2})D)?$`)

// ParsePeriod reads a period of years, months and days in ISO 8601: "P3Y",
// "P6M", "P1Y30D". A period of nothing is an error.
func ParsePeriod(text string) (Period, error) {
	parts := period.FindStringSubmatch(text)
	var n [3]int
	for i := range n {
		if parts != nil && parts[i+1] != "" {
			n[i], _ = strconv.Atoi(parts[i+1]) // three digits
		}
	}
	p := Period{n[0], n[1], n[2]}
	if p.IsZero() {
		return p, fmt.Errorf("%q is no period: want years, months and days in ISO 8601, as in P3Y", text)
	}
	return p, nil
}

// IsZero says whether p is no period.
func (p Period) IsZero() bool { return p == Period{} }

// String returns the period as [ParsePeriod] reads it, and "none" for the zero
// Period.
func (p Period) String() string {
	text := "P"
	for _, part := range [...]struct {
		n    int
		unit string
	}{{p.years, "Y"}, {p.months, "M"}, {p.days, "D"}} {
		if part.n > 0 {
			text += strconv.Itoa(part.n) + part.unit
		}
	}
	if text == "P" {
		return "none"
	}
	return text
}

// MarshalText implements [encoding.TextMarshaler].
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Period) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePeriod(string(text))
	return err
}

// exceeds says whether p ends later than other from at least one day of the
// calendar: a month more is at most 31 days, a month less at least 28.
func (p Period) exceeds(other Period) bool {
	months, days := 12*(p.years-other.years)+p.months-other.months, p.days-other.days
	return max(31*months, 28*months)+days > 0
}

// DueAt returns the moment from which the data of a person is to be erased: the
// period runs in whole days of Asia/Almaty from the day on which the agreement
// ended, and is over when its last day is (clause 2.5). Where a month lacks the
// day, as February lacks the 29th three years on, the last day of that month
// ends it. The zero Period is [DefaultRetention]: in doubt nothing is erased early.
// The zero time, an agreement that did not end, is never due: the end of 9999.
func DueAt(agreementEnded time.Time, keep Period) time.Time {
	if agreementEnded.IsZero() {
		return never
	}
	if keep.IsZero() {
		keep = DefaultRetention
	}
	ended := DateOf(agreementEnded)
	first := time.Date(ended.year+keep.years, ended.month+time.Month(keep.months), 1, 0, 0, 0, 0, time.UTC)
	length := first.AddDate(0, 1, -1).Day()
	last := Date{first.Year(), first.Month(), min(ended.day, length)}
	return last.Add(keep.days + 1).Start()
}
