package policy

import (
	"cmp"
	_ "embed"
	"fmt"
	"sync"
	"time"
)

// Date is a calendar day in Asia/Almaty. The zero Date is none.
type Date struct {
	year  int
	month time.Month
	day   int
}

// ParseDate reads a day as "2026-11-01" (RFC 3339, full-date).
func ParseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return Date{}, fmt.Errorf("%q is no day: want the form 2026-11-01", text)
	}
	return Date{t.Year(), t.Month(), t.Day()}, nil
}

// DateOf returns the day in Asia/Almaty that the moment t falls on.
func DateOf(t time.Time) Date {
	y, m, d := t.In(almaty()).Date()
	return Date{y, m, d}
}

// IsZero says whether d is no day.
func (d Date) IsZero() bool { return d == Date{} }

// Start returns the first moment of the day in Asia/Almaty.
func (d Date) Start() time.Time { return time.Date(d.year, d.month, d.day, 0, 0, 0, 0, almaty()) }

// Add returns the day n days later.
func (d Date) Add(n int) Date {
	y, m, day := time.Date(d.year, d.month, d.day+n, 0, 0, 0, 0, time.UTC).Date() // days alone know no zone
	return Date{y, m, day}
}

// Compare returns -1, 0 or 1 as d is before, on or after other.
func (d Date) Compare(other Date) int {
	return cmp.Or(cmp.Compare(d.year, other.year), cmp.Compare(d.month, other.month), cmp.Compare(d.day, other.day))
}

// String returns the day as [ParseDate] reads it, and "none" for the zero Date.
func (d Date) String() string {
	if d.IsZero() {
		return "none"
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)
}

// MarshalText implements [encoding.TextMarshaler].
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Date) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDate(string(text))
	return err
}

// zone is Asia/Almaty of the IANA time zone database, in TZif (RFC 9636), as Go
// ships it. It is embedded alone, and not taken by name: by name the data of the
// machine comes first, and where that is older than 2024a it knows nothing of
// 1 March 2024, when the offset went from +06 to +05. A test holds it to Go's.
//
//go:embed almaty.tzif
var zone []byte

var almaty = sync.OnceValue(func() *time.Location {
	l, err := time.LoadLocationFromTZData("Asia/Almaty", zone)
	if err != nil {
		panic(fmt.Sprintf("policy: embedded time zone: %v", err)) // the embedded file is held by a test
	}
	return l
})
