// Package progress shows on standard error how long work goes on: a bar for each
// partition on a terminal, a line of JSON now and then elsewhere.
//
//	p.Start(map[int32]int64{0: 1200, 1: 900})
//	p.Add(0, 512) // from any goroutine
//	defer p.Done()
//
// It knows nothing of the work but its amount.
package progress

import "io"

// Progress is told how the work goes on. Start comes first and once, Done last;
// Done may come without Start and more than once. Add may be called by many
// goroutines.
type Progress interface {
	// Start says how much there is to do, by partition.
	Start(total map[int32]int64)
	// Add says that more of a partition was done.
	Add(partition int32, n int64)
	// Done ends the display, whether everything was done or not.
	Done()
}

// New returns the display of a task: bars on a terminal, JSON elsewhere. The
// unit names what is counted: "events".
func New(w io.Writer, terminal bool, task, unit string) Progress {
	if terminal {
		return &bars{w: w, task: task, unit: unit}
	}
	return &lines{w: w, task: task, unit: unit}
}

// None shows nothing.
func None() Progress { return none{} }

type none struct{}

func (none) Start(map[int32]int64) {}
func (none) Add(int32, int64)      {}
func (none) Done()                 {}
