package progress

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// maxBars bounds the bars: more do not fit a terminal, and one bar for all says
// as much.
const maxBars = 32

// barWidth is the columns of a bar with its words.
const barWidth = 100

// bars is progress for people.
type bars struct {
	w          io.Writer
	task, unit string

	mu    sync.Mutex
	pool  *mpb.Progress
	bars  map[int32]*mpb.Bar
	whole *mpb.Bar // instead, when there are too many
}

// Start implements [Progress].
func (b *bars) Start(total map[int32]int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pool = mpb.New(mpb.WithOutput(b.w), mpb.WithWidth(barWidth), mpb.WithAutoRefresh())
	b.bars = make(map[int32]*mpb.Bar, len(total))
	if len(total) > maxBars {
		var all int64
		for _, n := range total {
			all += n
		}
		b.whole = b.bar(b.task, all)
		return
	}
	for _, partition := range slices.Sorted(maps.Keys(total)) {
		if n := total[partition]; n > 0 { // an empty one has nothing to show
			b.bars[partition] = b.bar(fmt.Sprintf("%s %d", b.task, partition), n)
		}
	}
}

func (b *bars) bar(name string, total int64) *mpb.Bar {
	return b.pool.AddBar(total,
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR), decor.CountersNoUnit("%d/%d", decor.WCSyncSpace)),
		mpb.AppendDecorators(
			decor.AverageSpeed(0, "%.0f "+b.unit+"/s", decor.WCSyncSpace),
			decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace), "done"),
		),
	)
}

// Add implements [Progress].
func (b *bars) Add(partition int32, n int64) {
	b.mu.Lock()
	bar := b.bars[partition]
	if b.whole != nil {
		bar = b.whole
	}
	b.mu.Unlock()
	if bar != nil {
		bar.IncrInt64(n)
	}
}

// Done implements [Progress]. A bar that is not full stays as it is.
func (b *bars) Done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pool == nil {
		return
	}
	for _, bar := range b.bars {
		bar.Abort(false)
	}
	if b.whole != nil {
		b.whole.Abort(false)
	}
	b.pool.Wait()
	b.pool = nil
}
