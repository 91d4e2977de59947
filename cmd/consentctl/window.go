package main

import (
	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/oncall/moment"
	"github.com/kelisim/kelisim/internal/oncall/window"
)

// windowFlags choose a part of the log.
type windowFlags struct {
	subject      string
	since, until moment.Flag
	partitions   []int32
	from, to     int64
}

func (f *windowFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.Var(&f.since, "since", "from this time on, as in 2026-11-22T10:00:00Z, or from so long ago, as in 2h")
	flags.Var(&f.until, "until", "before this time")
	flags.Int32SliceVar(&f.partitions, "partitions", nil, "only these")
	flags.Int64Var(&f.from, "from-offset", 0, "from this offset on, of one partition")
	flags.Int64Var(&f.to, "to-offset", 0, "before this offset, of one partition")
	flags.StringVar(&f.subject, "subject", "", "only this subject's; reads one partition")
}

func (f *windowFlags) window() (window.Window, error) {
	w := window.Window{Partitions: f.partitions, From: f.from, To: f.to, Since: f.since.Time, Until: f.until.Time}
	if f.subject == "" {
		return w, nil
	}
	var err error
	w.Subject, err = parseSubject(f.subject)
	return w, err
}
