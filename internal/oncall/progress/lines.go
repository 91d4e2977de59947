package progress

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// lineEvery is the time between two lines: often enough to see that work goes
// on, seldom enough for the log of a job that takes an hour.
const lineEvery = 2 * time.Second

// lines is progress for programs.
type lines struct {
	w          io.Writer
	task, unit string

	mu          sync.Mutex
	begun, next time.Time // zero before Start
	total, done int64
	left        map[int32]int64 // by partition, that are not finished
	ended       bool
}

// line is what is written. Rates are of the whole task so far.
type line struct {
	Task       string  `json:"task"`
	Unit       string  `json:"unit"`
	Done       int64   `json:"done"`
	Total      int64   `json:"total"`
	Partitions int     `json:"partitions_left"`
	Rate       float64 `json:"per_second"`
	Left       float64 `json:"seconds_left"`
	End        bool    `json:"end,omitempty"` // no more lines follow
}

// Start implements [Progress].
func (l *lines) Start(total map[int32]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun, l.left = time.Now(), make(map[int32]int64, len(total))
	l.next = l.begun.Add(lineEvery)
	for partition, n := range total {
		l.total += n
		if n > 0 {
			l.left[partition] = n
		}
	}
}

// Add implements [Progress].
func (l *lines) Add(partition int32, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done += n
	if l.left[partition] -= n; l.left[partition] <= 0 {
		delete(l.left, partition)
	}
	if now := time.Now(); now.After(l.next) {
		l.next = now.Add(lineEvery)
		l.write(now)
	}
}

// Done implements [Progress].
func (l *lines) Done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun.IsZero() || l.ended {
		return
	}
	l.ended = true
	l.write(time.Now())
}

func (l *lines) write(now time.Time) {
	out := line{Task: l.task, Unit: l.unit, Done: l.done, Total: l.total, Partitions: len(l.left), End: l.ended}
	if took := now.Sub(l.begun).Seconds(); took > 0 && l.done > 0 {
		out.Rate = round(float64(l.done) / took)
		out.Left = round(max(0, float64(l.total-l.done)) * took / float64(l.done))
	}
	_ = json.NewEncoder(l.w).Encode(out) // where should a failed message to standard error go?
}

// round keeps a tenth.
func round(x float64) float64 { return float64(int64(x*10+0.5)) / 10 }
